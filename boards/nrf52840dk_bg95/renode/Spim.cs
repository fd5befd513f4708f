// SPIM: a whole EasyDMA buffer is sent to the board in one request, and END follows after the time of
// its bits. EasyDMA accesses only RAM: a transfer from flash is rejected.
using System;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Spim : NrfPeripheral
    {
        public Spim(IMachine machine, Bench bench) : base(machine)
        {
            this.bench = bench;
            Awaited = end = new Alarm(machine, this, "end", End);
            DefineRegisters();
        }

        public override void Reset()
        {
            base.Reset();
            end.Cancel();
        }

        private void DefineRegisters()
        {
            Task(0x010, "START", Start);
            Task(0x014, "STOP", () =>
            {
                end.Cancel();
                Raise(stopped);
            });
            Task(0x01C, "SUSPEND", () => Refuse("TASKS_SUSPEND", "suspending is not modelled."));
            Task(0x020, "RESUME", () => Refuse("TASKS_RESUME", "suspending is not modelled."));
            stopped = DefineEvent(0x104, "STOPPED", 1);
            endRx = DefineEvent(0x110, "ENDRX", 4);
            ended = DefineEvent(0x118, "END", 6);
            endTx = DefineEvent(0x120, "ENDTX", 8);
            started = DefineEvent(0x14C, "STARTED", 19);
            Keep(0x200, "SHORTS");
            DefineInterrupts();
            enable = Keep(0x500, "ENABLE");
            sck = Keep(0x508, "PSEL.SCK", 0xFFFFFFFF);
            mosi = Keep(0x50C, "PSEL.MOSI", 0xFFFFFFFF);
            miso = Keep(0x510, "PSEL.MISO", 0xFFFFFFFF);
            frequency = Keep(0x524, "FREQUENCY", 0x04000000);
            rxPointer = Keep(0x534, "RXD.PTR");
            rxMaximum = Keep(0x538, "RXD.MAXCNT");
            rxAmount = Keep(0x53C, "RXD.AMOUNT");
            txPointer = Keep(0x544, "TXD.PTR");
            txMaximum = Keep(0x548, "TXD.MAXCNT");
            txAmount = Keep(0x54C, "TXD.AMOUNT");
            Keep(0x540, "RXD.LIST");
            Keep(0x550, "TXD.LIST");
            RegistersCollection.DefineRegister(0x554).WithValueField(0, 3, out config, name: "CONFIG",
                writeCallback: (_, value) =>
                {
                    if((value & 1) != 0)
                    {
                        Refuse("CONFIG", "least significant bit first is not modelled.");
                    }
                });
            overRead = Keep(0x5C0, "ORC");
        }

        private void Start()
        {
            if(enable.Value != Enabled)
            {
                Refuse("TASKS_START", "the SPIM is not enabled.");
                return;
            }
            if(end.Pending)
            {
                Refuse("TASKS_START", "a transfer is under way.");
                return;
            }
            var sending = (int)(txMaximum.Value & 0xFFFF);
            var receiving = (int)(rxMaximum.Value & 0xFFFF);
            var length = Math.Max(sending, receiving);
            if(sending > 0 && !IsRam(txPointer.Value, sending) || receiving > 0 && !IsRam(rxPointer.Value, receiving))
            {
                Refuse("TASKS_START", "EasyDMA cannot reach 0x{0:X} or 0x{1:X}.", txPointer.Value, rxPointer.Value);
                return;
            }
            Raise(started);
            var request = new byte[3 + length];
            request[0] = (byte)sck.Value;
            request[1] = (byte)mosi.Value;
            request[2] = (byte)miso.Value;
            for(var i = sending; i < length; i++)
            {
                request[3 + i] = (byte)overRead.Value;
            }
            if(sending > 0)
            {
                sysbus.ReadBytes(txPointer.Value, sending).CopyTo(request, 3);
            }
            // CONFIG has CPHA in bit 1 and CPOL in bit 2; in the usual mode number their values are 1
            // and 2.
            var mode = (byte)(config.Value >> 1 & 1 | config.Value >> 1 & 2);
            var hertz = (uint)(frequency.Value / 0x02000000 * 125000);
            byte status;
            var answer = bench.Ask(Operation.Spi, mode, hertz, request, out status);
            if(status == Bench.Stalled)
            {
                // A fault requested by the board: END never occurs within the watchdog's time.
                end.After(Never);
                return;
            }
            if(answer != null && receiving > 0)
            {
                sysbus.WriteBytes(answer, rxPointer.Value, receiving);
            }
            txAmount.Value = (ulong)sending;
            rxAmount.Value = (ulong)receiving;
            end.After((ulong)length * 8000000 / Math.Max(hertz, 125000) + 2);
        }

        private void End()
        {
            Raise(endTx);
            Raise(endRx);
            Raise(ended);
        }

        private static bool IsRam(ulong address, int length)
        {
            return address >= RamStart && address + (ulong)length <= RamEnd;
        }

        private Event stopped, endRx, ended, endTx, started;
        private IValueRegisterField enable, sck, mosi, miso, frequency, config, overRead;
        private IValueRegisterField rxPointer, rxMaximum, rxAmount, txPointer, txMaximum, txAmount;
        private readonly Alarm end;
        private readonly Bench bench;

        private const uint Enabled = 7;
        private const ulong Never = 3600000000;
        private const ulong RamStart = 0x20000000;
        private const ulong RamEnd = 0x20040000;
    }
}
