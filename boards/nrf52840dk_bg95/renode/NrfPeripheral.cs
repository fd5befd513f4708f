// Common to the peripherals of the nRF52840 (product specification, "Peripheral interface"): tasks
// that are triggered by writing 1, events, and their interrupts.
using System;
using System.Collections.Generic;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public abstract class NrfPeripheral : BasicDoubleWordPeripheral, IKnownSize
    {
        protected NrfPeripheral(IMachine machine) : base(machine)
        {
            IRQ = new GPIO();
        }

        public override void Reset()
        {
            base.Reset();
            interrupts = 0;
            foreach(var e in events)
            {
                e.Set = false;
            }
            UpdateInterrupt();
        }

        public virtual long Size { get { return 0x1000; } }

        public GPIO IRQ { get; private set; }

        // The alarm of the next events. A firmware loop that polls for them is skipped until then.
        protected Alarm Awaited { get; set; }

        protected class Event
        {
            public bool Set;
            public ulong Asked;
            public int Bit;
        }

        protected void Task(long offset, string name, Action action)
        {
            RegistersCollection.DefineRegister(offset)
                .WithFlag(0, FieldMode.Write, name: "TASKS_" + name,
                    writeCallback: (_, value) => { if(value) action(); })
                .WithReservedBits(1, 31);
        }

        // `bit` is the event's bit in INTENSET and INTENCLR.
        protected Event DefineEvent(long offset, string name, int bit)
        {
            var e = new Event { Bit = bit };
            events.Add(e);
            RegistersCollection.DefineRegister(offset)
                .WithFlag(0, name: "EVENTS_" + name, valueProviderCallback: _ =>
                    {
                        if(!e.Set && Awaited != null && Awaited.Pending)
                        {
                            // The firmware reads this event a second time without a change in between.
                            // It has then polled everything it waits for, so time can be skipped
                            // without changing the order of events. The last moment before the event
                            // is executed normally.
                            var left = Awaited.Remaining;
                            if(e.Asked == happened && left > ShortestWait)
                            {
                                Processor.Skip(machine, Math.Min(left - ShortestWait, LongestSkip));
                            }
                            e.Asked = happened;
                        }
                        return e.Set;
                    },
                    writeCallback: (_, value) =>
                    {
                        // Firmware can clear an event but not set it.
                        e.Set &= value;
                        UpdateInterrupt();
                    })
                .WithReservedBits(1, 31);
            return e;
        }

        protected void DefineInterrupts(bool both = false)
        {
            if(both)
            {
                RegistersCollection.DefineRegister(0x300).WithValueField(0, 32, name: "INTEN",
                    valueProviderCallback: _ => interrupts,
                    writeCallback: (_, value) => Interrupts = (uint)value);
            }
            RegistersCollection.DefineRegister(0x304).WithValueField(0, 32, name: "INTENSET",
                valueProviderCallback: _ => interrupts,
                writeCallback: (_, value) => Interrupts = interrupts | (uint)value);
            RegistersCollection.DefineRegister(0x308).WithValueField(0, 32, name: "INTENCLR",
                valueProviderCallback: _ => interrupts,
                writeCallback: (_, value) => Interrupts = interrupts & ~(uint)value);
        }

        // A register that stores its value without any effect.
        protected IValueRegisterField Keep(long offset, string name, uint reset = 0)
        {
            IValueRegisterField field;
            RegistersCollection.DefineRegister(offset, reset).WithValueField(0, 32, out field, name: name);
            return field;
        }

        protected void Raise(Event e)
        {
            e.Set = true;
            happened++;
            UpdateInterrupt();
        }

        protected void Refuse(string register, string why, params object[] args)
        {
            this.Log(LogLevel.Warning, register + ": " + why, args);
        }

        protected uint Interrupts
        {
            get { return interrupts; }
            set
            {
                interrupts = value;
                UpdateInterrupt();
                InterruptsChanged();
            }
        }

        protected virtual void InterruptsChanged()
        {
        }

        protected void UpdateInterrupt()
        {
            var active = false;
            foreach(var e in events)
            {
                active |= e.Set && (interrupts >> e.Bit & 1) != 0;
            }
            IRQ.Set(active);
        }

        private uint interrupts;
        private ulong happened = 1;
        private readonly List<Event> events = new List<Event>();

        // Largest delay of an interrupt.
        private const ulong LongestSkip = 50;
        private const ulong ShortestWait = 3;
    }
}
