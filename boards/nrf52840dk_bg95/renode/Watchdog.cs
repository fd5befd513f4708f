// WDT: once started, only a reset stops it, but not the processor's own reset. Its registers are
// locked while it runs. It counts during sleep (CONFIG.SLEEP as after a reset).
using System;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Watchdog : NrfPeripheral
    {
        public Watchdog(IMachine machine, PowerClock power) : base(machine)
        {
            this.power = power;
            alarm = new Alarm(machine, this, "timeout", Expired);
            power.Stopped += alarm.Cancel;
            DefineRegisters();
        }

        public override void Reset()
        {
            if(power.Cause == PowerClock.SoftReset && running)
            {
                power.StartLowFrequency();
                return;
            }
            base.Reset();
            alarm.Cancel();
            running = bitten = false;
            reload = 0xFFFFFFFF;
            enabled = 1;
            requests = 1;
        }

        private void DefineRegisters()
        {
            Task(0x000, "START", () =>
            {
                if(!running)
                {
                    running = true;
                    requests = enabled;
                    power.StartLowFrequency();
                    Arm();
                }
            });
            timeout = DefineEvent(0x100, "TIMEOUT", 0);
            DefineInterrupts();
            RegistersCollection.DefineRegister(0x400)
                .WithFlag(0, FieldMode.Read, name: "RUNSTATUS", valueProviderCallback: _ => running);
            RegistersCollection.DefineRegister(0x404).WithValueField(0, 8, FieldMode.Read, name: "REQSTATUS",
                valueProviderCallback: _ => running ? requests : 0);
            RegistersCollection.DefineRegister(0x504).WithValueField(0, 32, name: "CRV",
                valueProviderCallback: _ => reload, writeCallback: (_, value) =>
                {
                    if(Locked("CRV"))
                    {
                        return;
                    }
                    if(value < 0xF)
                    {
                        Refuse("CRV", "{0} is below 0xF.", value);
                    }
                    reload = Math.Max(0xF, (uint)value);
                });
            RegistersCollection.DefineRegister(0x508).WithValueField(0, 8, name: "RREN",
                valueProviderCallback: _ => enabled, writeCallback: (_, value) =>
                {
                    if(!Locked("RREN"))
                    {
                        enabled = (uint)value;
                    }
                });
            RegistersCollection.DefineRegister(0x50C, 1).WithValueField(0, 32, name: "CONFIG",
                valueProviderCallback: _ => config, writeCallback: (_, value) =>
                {
                    if(Locked("CONFIG"))
                    {
                        return;
                    }
                    config = (uint)value;
                    if((value & 1) == 0)
                    {
                        Refuse("CONFIG", "pausing in sleep is not modelled: it goes on counting.");
                    }
                });
            for(var i = 0; i < 8; i++)
            {
                var bit = 1u << i;
                RegistersCollection.DefineRegister(0x600 + 4 * i).WithValueField(0, 32, FieldMode.Write, name: "RR",
                    writeCallback: (_, value) => Feed(bit, (uint)value));
            }
        }

        private bool Locked(string register)
        {
            if(running)
            {
                Refuse(register, "written while the watchdog runs; ignored.");
            }
            return running;
        }

        private void Feed(uint bit, uint value)
        {
            if(value != ReloadRequest)
            {
                Refuse("RR", "0x{0:X} is no reload request; ignored.", value);
                return;
            }
            requests &= ~bit;
            if(running && !bitten && requests == 0)
            {
                requests = enabled;
                Arm();
            }
        }

        private void Arm()
        {
            alarm.After(((ulong)reload + 1) * 1000000 / 32768);
        }

        private void Expired()
        {
            if(power.SystemOff)
            {
                return; // no clock runs there, and the reset that ends it resets this as well
            }
            if(!bitten)
            {
                bitten = true;
                Raise(timeout);
                // Two cycles of the 32.768 kHz clock for its interrupt.
                alarm.After(61);
                return;
            }
            power.Restart(PowerClock.Dog);
        }

        private bool running;
        private bool bitten;
        private uint reload = 0xFFFFFFFF;
        private uint enabled = 1;
        private uint requests = 1;
        private uint config = 1;
        private Event timeout;
        private readonly Alarm alarm;
        private readonly PowerClock power;

        private const uint ReloadRequest = 0x6E524635;
    }
}
