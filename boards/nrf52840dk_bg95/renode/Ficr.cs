// FICR: the factory configuration. The identity is a parameter of this machine.
using System.Collections.Generic;
using Antmicro.Renode.Core;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Ficr : IDoubleWordPeripheral, IKnownSize
    {
        public Ficr(uint deviceId0 = 0xC01D7A11, uint deviceId1 = 0x52840001)
        {
            words = new Dictionary<long, uint>
            {
                { 0x010, 0x1000 },      // CODEPAGESIZE
                { 0x014, 0x100 },       // CODESIZE, in pages
                { 0x060, deviceId0 },   // DEVICEID[0]
                { 0x064, deviceId1 },   // DEVICEID[1]
                { 0x0A0, 1 },           // DEVICEADDRTYPE: random
                { 0x0A4, deviceId1 },   // DEVICEADDR[0]
                { 0x0A8, deviceId0 },   // DEVICEADDR[1]
                { 0x100, 0x52840 },     // INFO.PART
                { 0x104, 0x41414430 },  // INFO.VARIANT: AAD0
                { 0x108, 0x2004 },      // INFO.PACKAGE: QIAA
                { 0x10C, 0x100 },       // INFO.RAM, KiB
                { 0x110, 0x400 },       // INFO.FLASH, KiB
                { 0x130, 8 },           // What start-up code tells the revision by.
                { 0x134, 3 },
            };
        }

        public void Reset()
        {
        }

        public uint ReadDoubleWord(long offset)
        {
            uint value;
            return words.TryGetValue(offset, out value) ? value : 0xFFFFFFFF;
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            this.Log(LogLevel.Warning, "FICR cannot be written; 0x{0:X} ignored.", offset);
        }

        public long Size { get { return 0x1000; } }

        private readonly Dictionary<long, uint> words;
    }
}
