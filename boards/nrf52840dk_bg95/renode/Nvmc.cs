// The part of the chip's flash that the firmware writes, and its controller.
//
// NOR rules (product specification, NVMC): a write clears bits of a whole aligned word and needs
// CONFIG.WEN. A word allows two writes between erases. An erase sets a page of 4 KiB and needs
// CONFIG.EEN. Writes and erases take time. A power loss during one leaves it torn: a random subset of
// its bits has changed.
using System;
using System.Collections.Generic;
using System.IO;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;
using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.Memory;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    // A region of flash with these rules. Code cannot be executed from it.
    public class NorFlash : IBytePeripheral, IWordPeripheral, IDoubleWordPeripheral, IMultibyteWritePeripheral, IKnownSize
    {
        public NorFlash(IMachine machine, int size)
        {
            Cells = new byte[size];
            Writes = new byte[size / 4];
            for(var i = 0; i < size; i++)
            {
                Cells[i] = 0xFF;
            }
        }

        public void Reset()
        {
        }

        public byte ReadByte(long offset)
        {
            return Cells[offset];
        }

        public ushort ReadWord(long offset)
        {
            return (ushort)(Cells[offset] | Cells[offset + 1] << 8);
        }

        public uint ReadDoubleWord(long offset)
        {
            return offset + 4 <= Cells.Length ? BitConverter.ToUInt32(Cells, (int)offset) : ReadWord(offset);
        }

        public void WriteByte(long offset, byte value)
        {
            this.Log(LogLevel.Error, "A byte is written to 0x{0:X}: flash takes whole words. Ignored; the part faults.", offset);
        }

        public void WriteWord(long offset, ushort value)
        {
            this.Log(LogLevel.Error, "A half-word is written to 0x{0:X}: flash takes whole words. Ignored; the part faults.", offset);
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(Controller != null)
            {
                Controller.Write(this, offset, value);
            }
        }

        public byte[] ReadBytes(long offset, int count, IPeripheral context = null)
        {
            var bytes = new byte[count];
            Array.Copy(Cells, offset, bytes, 0, count);
            return bytes;
        }

        // Access for a programmer, used by `sysbus LoadBinary`, without these rules.
        public void WriteBytes(long offset, byte[] array, int startingIndex, int count, IPeripheral context = null)
        {
            Array.Copy(array, startingIndex, Cells, offset, count);
            for(var word = offset / 4; word <= (offset + count - 1) / 4; word++)
            {
                Writes[word] = 0;
            }
        }

        public long Size { get { return Cells.Length; } }

        public Nvmc Controller { get; set; }
        public byte[] Cells { get; private set; }
        // Number of writes of each word since the erase of its page.
        public byte[] Writes { get; private set; }
    }

    public class Nvmc : NrfPeripheral
    {
        public Nvmc(IMachine machine, Bench bench, MappedMemory code, NorFlash volume, uint volumeStart,
            NorFlash uicr, int seed = 1) : base(machine)
        {
            this.bench = bench;
            this.code = code;
            this.volume = volume;
            this.volumeStart = volumeStart;
            this.uicr = uicr;
            random = new Random(seed);
            volume.Controller = uicr.Controller = this;
            bench.PowerLost += Tear;
            DefineRegisters();
        }

        // Loads a file into flash as a programmer does, before the machine is started; nothing without
        // a name.
        public void Load(string file, uint address)
        {
            if(String.IsNullOrEmpty(file))
            {
                return;
            }
            byte[] bytes;
            try
            {
                bytes = File.ReadAllBytes(file);
            }
            catch(IOException e)
            {
                throw new RecoverableException(String.Format("{0} cannot be read: {1}", file, e.Message));
            }
            var isVolume = address >= volumeStart;
            var end = isVolume ? volumeStart + volume.Size : code.Size;
            if(address + bytes.Length > end)
            {
                throw new RecoverableException(String.Format(
                    "{0} has {1} bytes; {2} are free at 0x{3:X}.", file, bytes.Length, end - address, address));
            }
            if(isVolume)
            {
                volume.WriteBytes(address - volumeStart, bytes, 0, bytes.Length);
            }
            else
            {
                code.WriteBytes(address, bytes);
            }
        }

        public void Write(NorFlash flash, long offset, uint value)
        {
            if(config.Value != Wen)
            {
                Refuse("CONFIG", "0x{0:X} is written without WEN; ignored.", offset);
                return;
            }
            if(offset % 4 != 0)
            {
                Refuse("CONFIG", "0x{0:X} is no aligned word; ignored.", offset);
                return;
            }
            if(flash.Writes[offset / 4] == WritesPerWord)
            {
                Refuse("CONFIG", "the word at 0x{0:X} is written a third time since its page was erased.", offset);
            }
            else
            {
                flash.Writes[offset / 4]++;
            }
            var old = flash.ReadDoubleWord(offset);
            if((value & ~old) != 0)
            {
                Refuse("CONFIG", "0x{0:X} written to 0x{1:X}, which holds 0x{2:X}: a write clears bits only.", value, offset, old);
            }
            BitConverter.GetBytes(old & value).CopyTo(flash.Cells, offset);
            Begin(flash, offset, BitConverter.GetBytes(old), WriteMicroseconds, 1);
        }

        private void DefineRegisters()
        {
            RegistersCollection.DefineRegister(0x400).WithFlag(0, FieldMode.Read, name: "READY",
                valueProviderCallback: _ => bench.Now >= ready);
            RegistersCollection.DefineRegister(0x408).WithFlag(0, FieldMode.Read, name: "READYNEXT",
                valueProviderCallback: _ => bench.Now >= ready);
            RegistersCollection.DefineRegister(0x504).WithValueField(0, 2, out config, name: "CONFIG");
            RegistersCollection.DefineRegister(0x508).WithValueField(0, 32, FieldMode.Write, name: "ERASEPAGE",
                writeCallback: (_, value) => ErasePage((uint)value));
            RegistersCollection.DefineRegister(0x50C).WithValueField(0, 32, FieldMode.Write, name: "ERASEALL",
                writeCallback: (_, value) => Refuse("ERASEALL", "not modelled; ignored."));
            RegistersCollection.DefineRegister(0x514).WithValueField(0, 32, FieldMode.Write, name: "ERASEUICR",
                writeCallback: (_, value) => { if(value == 1) Erase("ERASEUICR", uicr, 0); });
            RegistersCollection.DefineRegister(0x518).WithValueField(0, 32, FieldMode.Write, name: "ERASEPAGEPARTIAL",
                writeCallback: (_, value) => Refuse("ERASEPAGEPARTIAL", "not modelled; ignored."));
            Keep(0x51C, "ERASEPAGEPARTIALCFG", 0xA);
            Keep(0x540, "ICACHECNF");
            Keep(0x548, "IHIT");
            Keep(0x54C, "IMISS");
        }

        private void ErasePage(uint address)
        {
            if(address % PageSize != 0)
            {
                Refuse("ERASEPAGE", "0x{0:X} is not the beginning of a page; ignored.", address);
            }
            else if(address >= volumeStart && address < volumeStart + volume.Size)
            {
                Erase("ERASEPAGE", volume, address - volumeStart);
            }
            else if(address >= code.Size || config.Value != Een)
            {
                Refuse("ERASEPAGE", "0x{0:X} without EEN, or beyond the flash; ignored.", address);
            }
            else
            {
                code.SetRange(address, PageSize, 0xFF);
                ready = Math.Max(ready, bench.Now) + EraseMicroseconds;
                Stall();
            }
        }

        private void Erase(string register, NorFlash flash, long offset)
        {
            if(config.Value != Een)
            {
                Refuse(register, "without EEN; ignored.");
                return;
            }
            var old = flash.ReadBytes(offset, PageSize);
            for(var i = 0; i < PageSize; i++)
            {
                flash.Cells[offset + i] = 0xFF;
            }
            Array.Clear(flash.Writes, (int)offset / 4, PageSize / 4);
            Begin(flash, offset, old, EraseMicroseconds, 2);
        }

        // The array has the result at once. A power loss before `end` tears it afterwards.
        private void Begin(NorFlash flash, long offset, byte[] old, ulong microseconds, byte kind)
        {
            var now = bench.Now;
            underWay.RemoveAll(o => o.End <= now);
            var start = Math.Max(ready, now);
            ready = start + microseconds;
            underWay.Add(new Change { Flash = flash, Offset = offset, Old = old, Start = start, End = ready });
            var address = flash == volume ? volumeStart + (uint)offset : UicrStart + (uint)offset;
            Stall();
            bench.Ask(Operation.Nvmc, kind, address, BitConverter.GetBytes((uint)microseconds));
        }

        // The processor stops, because it executes from the busy flash.
        private void Stall()
        {
            Processor.Skip(machine, ready - bench.Now);
        }

        private void Tear()
        {
            var now = bench.Now;
            underWay.Reverse();
            foreach(var change in underWay)
            {
                for(var i = 0; i < change.Old.Length && change.End > now; i++)
                {
                    var at = change.Offset + i;
                    var moving = (byte)(change.Old[i] ^ change.Flash.Cells[at]);
                    // The bits that have not changed yet.
                    var left = change.Start >= now ? moving : (byte)(moving & random.Next(256));
                    change.Flash.Cells[at] ^= left;
                }
            }
            underWay.Clear();
            ready = 0;
        }

        private class Change
        {
            public NorFlash Flash;
            public long Offset;
            public byte[] Old;
            public ulong Start;
            public ulong End;
        }

        private ulong ready;
        private IValueRegisterField config;
        private readonly List<Change> underWay = new List<Change>();
        private readonly Random random;
        private readonly uint volumeStart;
        private readonly MappedMemory code;
        private readonly NorFlash volume;
        private readonly NorFlash uicr;
        private readonly Bench bench;

        private const int PageSize = 0x1000;
        private const uint UicrStart = 0x10001000;
        private const uint Wen = 1;
        private const uint Een = 2;
        private const int WritesPerWord = 2;
        // Maximum of tWRITE and tERASEPAGE (product specification, NVMC electrical).
        private const ulong WriteMicroseconds = 41;
        private const ulong EraseMicroseconds = 85000;
    }
}
