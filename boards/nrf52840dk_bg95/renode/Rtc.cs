// RTC: a 24-bit counter that wraps with EVENTS_OVRFLW. It counts only while the low-frequency clock
// runs. An event is generated only if it is enabled in INTEN or EVTEN. A CC equal to the counter or to
// its next value matches only one round later. Behaviour that the specification does not guarantee
// does not occur.
using System;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Time;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Rtc : NrfPeripheral
    {
        public Rtc(IMachine machine, PowerClock clock, int channels = 4) : base(machine)
        {
            this.clock = clock;
            this.channels = channels;
            compare = new uint[channels];
            match = new ulong[channels];
            compares = new Event[channels];
            next = new Alarm(machine, this, "next", Due);
            clock.LowFrequencyChanged += () => Switch(started);
            DefineRegisters();
        }

        public override void Reset()
        {
            base.Reset();
            next.Cancel();
            started = running = false;
            passed = 0;
            seen = 0;
            eventsEnabled = 0;
            prescaler = 0;
            Array.Clear(compare, 0, channels);
            Array.Clear(match, 0, channels);
        }

        private void DefineRegisters()
        {
            Task(0x000, "START", () => Switch(true));
            Task(0x004, "STOP", () => Switch(false));
            Task(0x008, "CLEAR", () => Set(0));
            Task(0x00C, "TRIGOVRFLW", () => Set(0xFFFFF0));
            tick = DefineEvent(0x100, "TICK", 0);
            overflow = DefineEvent(0x104, "OVRFLW", 1);
            DefineInterrupts();
            Enable(0x340, "EVTEN", v => v);
            Enable(0x344, "EVTENSET", v => eventsEnabled | v);
            Enable(0x348, "EVTENCLR", v => eventsEnabled & ~v);
            RegistersCollection.DefineRegister(0x504).WithValueField(0, 24, FieldMode.Read, name: "COUNTER",
                valueProviderCallback: _ => (uint)(Count & Mask));
            RegistersCollection.DefineRegister(0x508).WithValueField(0, 12, name: "PRESCALER",
                valueProviderCallback: _ => prescaler, writeCallback: (_, value) =>
                {
                    if(started)
                    {
                        Refuse("PRESCALER", "written while the RTC runs; ignored.");
                    }
                    else
                    {
                        prescaler = (uint)value;
                    }
                });
            for(var i = 0; i < channels; i++)
            {
                var n = i;
                compares[n] = DefineEvent(0x140 + 4 * n, "COMPARE" + n, 16 + n);
                RegistersCollection.DefineRegister(0x540 + 4 * n).WithValueField(0, 24, name: "CC",
                    valueProviderCallback: _ => compare[n], writeCallback: (_, value) =>
                    {
                        Account();
                        compare[n] = (uint)value;
                        Aim(n, 2);
                        Schedule();
                    });
            }
        }

        private void Enable(long offset, string name, Func<uint, uint> change)
        {
            RegistersCollection.DefineRegister(offset).WithValueField(0, 32, name: name,
                valueProviderCallback: _ => eventsEnabled, writeCallback: (_, value) =>
                {
                    Account();
                    eventsEnabled = change((uint)value);
                    Schedule();
                });
        }

        protected override void InterruptsChanged()
        {
            Account();
            Schedule();
        }

        private void Switch(bool on)
        {
            Account();
            passed = Count;
            started = on;
            running = started && clock.LowFrequency;
            begun = Ticks;
            Schedule();
        }

        private void Set(uint value)
        {
            Account();
            passed = value;
            seen = value;
            begun = Ticks;
            for(var i = 0; i < channels; i++)
            {
                Aim(i, 1);
            }
            Schedule();
        }

        private void Aim(int n, ulong nearest)
        {
            var now = Count;
            var distance = (compare[n] - now) & Mask;
            match[n] = now + (distance < nearest ? distance + Mask + 1 : distance);
        }

        // Generates the events of all counts since the last call.
        private void Account()
        {
            var now = Count;
            if(now == seen)
            {
                return;
            }
            Give(tick, true);
            Give(overflow, now >> 24 != seen >> 24);
            for(var i = 0; i < channels; i++)
            {
                if(match[i] <= now && match[i] > seen)
                {
                    Give(compares[i], true);
                    Aim(i, 1);
                }
            }
            seen = now;
        }

        private void Give(Event e, bool happened)
        {
            if(happened && ((Interrupts | eventsEnabled) >> e.Bit & 1) != 0)
            {
                Raise(e);
            }
        }

        private void Due()
        {
            Account();
            Schedule();
        }

        private void Schedule()
        {
            if(!running)
            {
                next.Cancel();
                return;
            }
            var enabled = Interrupts | eventsEnabled;
            var now = Count;
            var at = (now | Mask) + 1;
            if((enabled >> tick.Bit & 1) != 0)
            {
                at = now + 1;
            }
            for(var i = 0; i < channels; i++)
            {
                if((enabled >> compares[i].Bit & 1) != 0 && match[i] > now)
                {
                    at = Math.Min(at, match[i]);
                }
            }
            // The time at which the counter reaches the value, rounded up to microseconds.
            var units = (at - passed) * (prescaler + 1);
            var due = begun + units / Hertz * Second + (units % Hertz * Second + Hertz - 1) / Hertz;
            if(next.Pending && due == aimed)
            {
                // Most writes do not change the time, and setting a timer takes the host most of a
                // tick.
                return;
            }
            aimed = due;
            var wait = due > Ticks ? due - Ticks : 0;
            next.After((wait + Microsecond - 1) / Microsecond);
        }

        private ulong Count
        {
            get
            {
                if(!running)
                {
                    return passed;
                }
                var elapsed = Ticks - begun;
                var units = elapsed / Second * Hertz + elapsed % Second * Hertz / Second;
                return passed + units / (prescaler + 1);
            }
        }

        private ulong Ticks
        {
            get
            {
                ICPU current;
                if(machine.SystemBus.TryGetCurrentCPU(out current))
                {
                    current.SyncTime();
                }
                return machine.ClockSource.CurrentValue.Ticks;
            }
        }

        private bool started;
        private bool running;
        // The count at `begun`, including completed rounds, and the count up to which events were
        // generated.
        private ulong passed;
        private ulong begun;
        private ulong seen;
        private ulong aimed;
        private uint prescaler;
        private uint eventsEnabled;
        private Event tick, overflow;
        private readonly Event[] compares;
        private readonly uint[] compare;
        private readonly ulong[] match;
        private readonly Alarm next;
        private readonly int channels;
        private readonly PowerClock clock;

        private const ulong Mask = 0xFFFFFF;
        private const ulong Hertz = 32768;
        private const ulong Second = TimeInterval.TicksPerSecond;
        private const ulong Microsecond = TimeInterval.TicksPerMicrosecond;
    }
}
