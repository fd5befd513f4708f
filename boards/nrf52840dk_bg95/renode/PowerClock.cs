// POWER and CLOCK, which share their registers, and resets: their reasons, what they keep, System OFF
// and its wakes, and the loss of supply.
using System;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Peripherals.Memory;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class PowerClock : NrfPeripheral
    {
        public PowerClock(IMachine machine, Bench bench, ICPU cpu, MappedMemory ram, Gpio port0, Gpio port1,
            int seed = 1) : base(machine)
        {
            this.bench = bench;
            this.cpu = cpu;
            this.ram = ram;
            random = new Random(seed);
            ports = new[] { port0, port1 };
            foreach(var port in ports)
            {
                port.DetectChanged += Wake;
                port.Keeps = () => Cause == Off || Cause == VbusDetected;
            }
            bench.VbusChanged += VbusChanged;
            bench.PowerLost += PowerLost;
            bench.PowerReturned += PowerReturned;
            machine.MachineReset += _ =>
            {
                cold = false;
                cause = 0;
            };
            DefineRegisters();
        }

        // Resets the chip; `reason` is the bit that RESETREAS then contains.
        public void Restart(uint reason)
        {
            cause = reason;
            cpu.IsHalted = true;
            machine.RequestReset();
        }

        public override void Reset()
        {
            base.Reset();
            if(cold)
            {
                reasons = retained = retained2 = 0;
            }
            if(cold || Cause == Off || Cause == VbusDetected)
            {
                var noise = new byte[ram.Size];
                random.NextBytes(noise);
                ram.WriteBytes(0, noise);
            }
            reasons |= Cause;
            SystemOff = false;
            HighFrequency = LowFrequency = false;
            lowSource = 0;
            cpu.IsHalted = !bench.Powered;
            bench.Ask(Operation.Reset, 0, reasons, null);
        }

        // The reason of the present reset, for peripherals that some resets do not clear; 0 at
        // power-on. A reset without a request here is the processor's own (AIRCR.SYSRESETREQ).
        public uint Cause { get { return cold ? 0 : cause == 0 ? SoftReset : cause; } }
        public bool SystemOff { get; private set; }
        public bool LowFrequency { get; private set; }
        public bool HighFrequency { get; private set; }

        public event Action LowFrequencyChanged;
        // All clocks have stopped, in System OFF or without supply.
        public event Action Stopped;

        public void StartLowFrequency()
        {
            LowFrequency = true;
            if(LowFrequencyChanged != null)
            {
                LowFrequencyChanged();
            }
        }

        public const uint SoftReset = 1 << 2;
        public const uint Dog = 1 << 1;

        private void DefineRegisters()
        {
            Task(0x000, "HFCLKSTART", () => { HighFrequency = true; Raise(highStarted); });
            Task(0x004, "HFCLKSTOP", () => HighFrequency = false);
            Task(0x008, "LFCLKSTART", () => { StartLowFrequency(); Raise(lowStarted); });
            Task(0x00C, "LFCLKSTOP", () =>
            {
                LowFrequency = false;
                if(LowFrequencyChanged != null)
                {
                    LowFrequencyChanged();
                }
            });
            Task(0x010, "CAL", () => { });
            Task(0x078, "CONSTLAT", () => { });
            Task(0x07C, "LOWPWR", () => { });
            highStarted = DefineEvent(0x100, "HFCLKSTARTED", 0);
            lowStarted = DefineEvent(0x104, "LFCLKSTARTED", 1);
            DefineEvent(0x108, "POFWARN", 2);
            DefineEvent(0x10C, "DONE", 3);
            DefineEvent(0x110, "CTTO", 4);
            DefineEvent(0x114, "SLEEPENTER", 5);
            DefineEvent(0x118, "SLEEPEXIT", 6);
            usbDetected = DefineEvent(0x11C, "USBDETECTED", 7);
            usbRemoved = DefineEvent(0x120, "USBREMOVED", 8);
            usbReady = DefineEvent(0x124, "USBPWRRDY", 9);
            DefineInterrupts();
            RegistersCollection.DefineRegister(0x400).WithValueField(0, 32, name: "RESETREAS",
                valueProviderCallback: _ => reasons, writeCallback: (_, value) => reasons &= ~(uint)value);
            Status(0x408, "HFCLKRUN", () => HighFrequency ? 1u : 0);
            Status(0x40C, "HFCLKSTAT", () => (HighFrequency ? 1u : 0) | 1u << 16);
            Status(0x414, "LFCLKRUN", () => LowFrequency ? 1u : 0);
            Status(0x418, "LFCLKSTAT", () => lowSource & 3 | (LowFrequency ? 1u << 16 : 0));
            Status(0x41C, "LFCLKSRCCOPY", () => lowSource & 3);
            Status(0x428, "RAMSTATUS", () => 0xF);
            Status(0x438, "USBREGSTATUS", () => bench.Vbus ? 3u : 0);
            RegistersCollection.DefineRegister(0x500).WithFlag(0, FieldMode.Write, name: "SYSTEMOFF",
                writeCallback: (_, value) => { if(value) SwitchOff(); });
            Keep(0x510, "POFCON");
            RegistersCollection.DefineRegister(0x518).WithValueField(0, 32, name: "LFCLKSRC",
                valueProviderCallback: _ => lowSource, writeCallback: (_, value) =>
                {
                    if(LowFrequency)
                    {
                        Refuse("LFCLKSRC", "written while the clock runs; ignored.");
                    }
                    else
                    {
                        lowSource = (uint)value;
                    }
                });
            Keep(0x538, "CTIV");
            RegistersCollection.DefineRegister(0x51C).WithValueField(0, 8, name: "GPREGRET",
                valueProviderCallback: _ => retained, writeCallback: (_, value) => retained = (uint)value);
            RegistersCollection.DefineRegister(0x520).WithValueField(0, 8, name: "GPREGRET2",
                valueProviderCallback: _ => retained2, writeCallback: (_, value) => retained2 = (uint)value);
            Keep(0x578, "DCDCEN");
            Keep(0x580, "DCDCEN0");
            Status(0x640, "MAINREGSTATUS", () => 0);
            for(var i = 0; i < 9; i++)
            {
                foreach(var part in new[] { "POWER", "POWERSET", "POWERCLR" })
                {
                    Keep(0x900 + 0x10 * i + Array.IndexOf(new[] { "POWER", "POWERSET", "POWERCLR" }, part) * 4,
                        "RAM." + part, part == "POWER" ? 0xFFFFu : 0);
                }
            }
        }

        private void Status(long offset, string name, Func<uint> get)
        {
            RegistersCollection.DefineRegister(offset)
                .WithValueField(0, 32, FieldMode.Read, name: name, valueProviderCallback: _ => get());
        }

        private void SwitchOff()
        {
            SystemOff = true;
            cpu.IsHalted = true;
            LowFrequency = false;
            if(LowFrequencyChanged != null)
            {
                LowFrequencyChanged();
            }
            Stop();
            bench.Ask(Operation.Off, 0, 0, null);
            // A sensed level wakes the chip at once; a cable that is already connected does not.
            Wake();
        }

        private void Stop()
        {
            if(Stopped != null)
            {
                Stopped();
            }
        }

        private void Wake()
        {
            if(SystemOff && bench.Powered && (ports[0].Detect || ports[1].Detect))
            {
                SystemOff = false;
                Restart(Off);
            }
        }

        private void VbusChanged()
        {
            if(SystemOff && bench.Vbus && bench.Powered)
            {
                SystemOff = false;
                Restart(VbusDetected);
            }
            else if(bench.Vbus)
            {
                Raise(usbDetected);
                Raise(usbReady);
            }
            else
            {
                Raise(usbRemoved);
            }
        }

        private void PowerLost()
        {
            this.Log(LogLevel.Info, "The supply is lost.");
            cold = true;
            SystemOff = false;
            cpu.IsHalted = true;
            Stop();
        }

        private void PowerReturned()
        {
            cold = true;
            Restart(0);
        }

        private bool cold = true;
        private uint cause;
        private uint reasons;
        private uint retained;
        private uint retained2;
        private Event highStarted, lowStarted, usbDetected, usbRemoved, usbReady;
        private uint lowSource;
        private readonly Random random;
        private readonly Gpio[] ports;
        private readonly MappedMemory ram;
        private readonly ICPU cpu;
        private readonly Bench bench;

        private const uint Off = 1 << 16;
        private const uint VbusDetected = 1 << 20;
    }
}
