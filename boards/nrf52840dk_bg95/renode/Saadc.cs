// SAADC: single-ended conversions of the inputs that the board uses. Differential inputs,
// oversampling, limits and the internal timer are rejected.
using System;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Saadc : NrfPeripheral
    {
        public Saadc(IMachine machine, Bench bench, uint supplyMillivolts = 3000) : base(machine)
        {
            this.bench = bench;
            supply = supplyMillivolts * 1000;
            Awaited = converted = new Alarm(machine, this, "converted", Converted);
            DefineRegisters();
        }

        public override void Reset()
        {
            base.Reset();
            converted.Cancel();
            started = false;
        }

        private void DefineRegisters()
        {
            Task(0x000, "START", () =>
            {
                if(enable.Value != 1)
                {
                    Refuse("TASKS_START", "the SAADC is not enabled.");
                    return;
                }
                started = true;
                amount.Value = 0;
                Raise(start);
            });
            Task(0x004, "SAMPLE", Sample);
            Task(0x008, "STOP", () =>
            {
                started = false;
                converted.Cancel();
                Raise(stopped);
            });
            Task(0x00C, "CALIBRATEOFFSET", () => Raise(calibrated));
            start = DefineEvent(0x100, "STARTED", 0);
            end = DefineEvent(0x104, "END", 1);
            done = DefineEvent(0x108, "DONE", 2);
            resultDone = DefineEvent(0x10C, "RESULTDONE", 3);
            calibrated = DefineEvent(0x110, "CALIBRATEDONE", 4);
            stopped = DefineEvent(0x114, "STOPPED", 5);
            for(var i = 0; i < Channels; i++)
            {
                DefineEvent(0x118 + 8 * i, "CH.LIMITH", 6 + 2 * i);
                DefineEvent(0x11C + 8 * i, "CH.LIMITL", 7 + 2 * i);
                positive[i] = Keep(0x510 + 16 * i, "CH.PSELP");
                Keep(0x514 + 16 * i, "CH.PSELN");
                config[i] = Keep(0x518 + 16 * i, "CH.CONFIG", 0x20000);
                Keep(0x51C + 16 * i, "CH.LIMIT", 0x7FFF8000);
            }
            DefineInterrupts(both: true);
            RegistersCollection.DefineRegister(0x400)
                .WithFlag(0, FieldMode.Read, name: "STATUS", valueProviderCallback: _ => converted.Pending);
            enable = Keep(0x500, "ENABLE");
            resolution = Keep(0x5F0, "RESOLUTION", 1);
            oversample = Keep(0x5F4, "OVERSAMPLE");
            RegistersCollection.DefineRegister(0x5F8).WithValueField(0, 32, name: "SAMPLERATE",
                writeCallback: (_, value) =>
                {
                    if((value & 0x1000) != 0)
                    {
                        Refuse("SAMPLERATE", "the internal timer is not modelled.");
                    }
                });
            foreach(var undocumented in new[] { 0x640, 0x644, 0x648, 0xFFC })
            {
                Keep(undocumented, "of the driver's workarounds");
            }
            pointer = Keep(0x62C, "RESULT.PTR");
            maximum = Keep(0x630, "RESULT.MAXCNT");
            amount = Keep(0x634, "RESULT.AMOUNT");
        }

        private void Sample()
        {
            if(!started)
            {
                Refuse("TASKS_SAMPLE", "not started.");
                return;
            }
            ulong microseconds = 0;
            for(var i = 0; i < Channels; i++)
            {
                if(positive[i].Value != 0)
                {
                    // TACQ and 2 us for the conversion.
                    microseconds += AcquireMicroseconds[config[i].Value >> 16 & 7] + 2;
                }
            }
            converted.After(microseconds);
        }

        private void Converted()
        {
            if(oversample.Value != 0)
            {
                Refuse("OVERSAMPLE", "not modelled: one sample is taken.");
            }
            for(var i = 0; i < Channels && amount.Value < maximum.Value; i++)
            {
                if(positive[i].Value == 0)
                {
                    continue;
                }
                var code = Convert((uint)positive[i].Value, (uint)config[i].Value);
                sysbus.WriteWord(pointer.Value + 2 * amount.Value, code);
                amount.Value++;
                Raise(resultDone);
            }
            Raise(done);
            if(amount.Value >= maximum.Value)
            {
                started = false;
                Raise(end);
            }
        }

        private ushort Convert(uint input, uint settings)
        {
            if((settings & 1 << 20) != 0)
            {
                Refuse("CH.CONFIG", "differential mode is not modelled: taken as single-ended.");
            }
            // Full scale: 0.6 V or a quarter of the supply, divided by the gain.
            var reference = (settings & 1 << 12) != 0 ? supply / 4 : 600000;
            var full = reference * GainDivisors[settings >> 8 & 7] / 4;
            var bits = (int)(8 + 2 * (resolution.Value & 3));
            if(input >= 1 && input <= 8)
            {
                var answer = bench.Ask(Operation.Adc, Inputs[input - 1], full, new[] { (byte)bits });
                return answer == null ? (ushort)0 : BitConverter.ToUInt16(answer, 0);
            }
            // VDD and VDDH / 5; the board connects VDDH to VDD.
            var volts = input == 9 ? supply : input == 0xD ? supply / 5 : 0;
            return (ushort)Math.Min((1ul << bits) - 1, ((ulong)volts << bits) / full);
        }

        private bool started;
        private Event start, end, done, resultDone, calibrated, stopped;
        private IValueRegisterField enable, resolution, oversample, pointer, maximum, amount;
        private readonly IValueRegisterField[] positive = new IValueRegisterField[Channels];
        private readonly IValueRegisterField[] config = new IValueRegisterField[Channels];
        private readonly Alarm converted;
        private readonly uint supply;
        private readonly Bench bench;

        private const int Channels = 8;
        private static readonly byte[] Inputs = { 2, 3, 4, 5, 28, 29, 30, 31 };
        private static readonly ulong[] AcquireMicroseconds = { 3, 5, 10, 15, 20, 40, 40, 40 };
        // Four divided by the gains 1/6, 1/5, 1/4, 1/3, 1/2, 1, 2, 4.
        private static readonly uint[] GainDivisors = { 24, 20, 16, 12, 8, 4, 2, 1 };
    }
}
