"""The C part of asyncio, rewritten for virtual ticks (the C part reads the host's clock)."""

from _link import now

_HALF = 0x20000000
_MASK = 0x3FFFFFFF


class TaskQueue:
    def __init__(self):
        self._first = None

    def peek(self):
        return self._first

    def push(self, task, key=None):
        task.data = None
        task.ph_key = key = now() if key is None else key
        before = None
        after = self._first
        while after and (key - after.ph_key + _HALF) & _MASK >= _HALF:
            before = after
            after = after.next
        task.next = after
        if before:
            before.next = task
        else:
            self._first = task

    def pop(self):
        task = self._first
        self._first = task.next
        return task

    def remove(self, task):
        if task is self._first:
            self._first = task.next
            return
        before = self._first
        while before.next is not task:
            before = before.next
        before.next = task.next


class Task:
    def __init__(self, coro, context=None):
        global _context
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0
        if context:
            _context = context

    def __iter__(self):
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif not isinstance(self.state, TaskQueue):
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            raise self.data
        current = _context["cur_task"]
        self.state.push(current)
        current.data = self

    def done(self):
        return not self.state

    def cancel(self):
        if not self.state:
            return False
        if self is _context["cur_task"]:
            raise RuntimeError("can't cancel self")
        task = self
        while isinstance(task.data, Task):
            task = task.data
        run = _context["_task_queue"]
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            run.push(task)
        elif 0 < (task.ph_key - now()) & _MASK < _HALF:
            run.remove(task)
            run.push(task)
        task.data = _context["CancelledError"]
        return True
