// GPIO: one port. Its outputs and pulls are sent to the board, which returns its input levels. A
// disconnected input (PIN_CNF.INPUT, its value after a reset) reads 0. SENSE, LATCH and DETECT are
// modelled. The port is registered at base + 0x500, where its registers begin.
using System;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Gpio : BasicDoubleWordPeripheral, IKnownSize
    {
        public Gpio(IMachine machine, Bench bench, byte port, int pins = 32) : base(machine)
        {
            this.bench = bench;
            this.port = port;
            this.pins = pins;
            all = pins == 32 ? 0xFFFFFFFF : (1u << pins) - 1;
            configuration = new uint[pins];
            DefineRegisters();
            Forget();
            bench.LevelsChanged += Look;
        }

        public override void Reset()
        {
            // A wake from System OFF does not change the pins.
            if(Keeps != null && Keeps())
            {
                return;
            }
            Forget();
            base.Reset();
            Drive(true);
        }

        // The levels at the pins, for GPIOTE, whose channels connect their inputs themselves.
        public uint Levels { get { return (uint)(bench.Levels >> (port * 32)) & all; } }

        public bool Detect { get; private set; }

        // Whether the present reset keeps the configuration of the pins.
        public Func<bool> Keeps { get; set; }

        public long Size { get { return 0x300; } }

        public event Action DetectChanged;

        private void Forget()
        {
            output = direction = latch = 0;
            latched = false;
            for(var i = 0; i < pins; i++)
            {
                configuration[i] = Disconnected;
            }
        }

        private void DefineRegisters()
        {
            Define(0x004, "OUT", () => output, v => output = v);
            Define(0x008, "OUTSET", () => output, v => output |= v);
            Define(0x00C, "OUTCLR", () => output, v => output &= ~v);
            RegistersCollection.DefineRegister(0x010)
                .WithValueField(0, 32, FieldMode.Read, name: "IN", valueProviderCallback: _ => Input);
            Define(0x014, "DIR", () => direction, v => direction = v);
            Define(0x018, "DIRSET", () => direction, v => direction |= v);
            Define(0x01C, "DIRCLR", () => direction, v => direction &= ~v);
            Define(0x020, "LATCH", () => latch, v => latch &= ~v);
            Define(0x024, "DETECTMODE", () => latched ? 1u : 0, v => latched = (v & 1) != 0);
            for(var i = pins; i < 32; i++)
            {
                RegistersCollection.DefineRegister(0x200 + 4 * i).WithValueField(0, 32, name: "PIN_CNF of no pin");
            }
            for(var i = 0; i < pins; i++)
            {
                var n = i;
                Define(0x200 + 4 * n, "PIN_CNF", () => configuration[n] & ~1u | direction >> n & 1, v =>
                {
                    configuration[n] = v & Configurable;
                    direction = direction & ~(1u << n) | (v & 1) << n;
                });
            }
        }

        private void Define(long offset, string name, Func<uint> get, Action<uint> set)
        {
            RegistersCollection.DefineRegister(offset).WithValueField(0, 32, name: name,
                valueProviderCallback: _ => get(),
                writeCallback: (_, value) =>
                {
                    set((uint)value);
                    output &= all;
                    direction &= all;
                    Drive(false);
                    Look();
                });
        }

        private void Drive(bool always)
        {
            uint low = 0, high = 0, up = 0, down = 0;
            for(var i = 0; i < pins; i++)
            {
                var bit = 1u << i;
                var drive = configuration[i] >> 8 & 7;
                var pull = configuration[i] >> 2 & 3;
                if((direction & bit) != 0)
                {
                    // DRIVE 4 and 5 disconnect a 0, 6 and 7 a 1.
                    low |= (output & bit) == 0 && drive != 4 && drive != 5 ? bit : 0;
                    high |= (output & bit) != 0 && drive < 6 ? bit : 0;
                }
                up |= pull == 3 ? bit : 0;
                down |= pull == 1 ? bit : 0;
            }
            if(always || low != driven[0] || high != driven[1] || up != driven[2] || down != driven[3])
            {
                driven = new[] { low, high, up, down };
                var data = new byte[16];
                Buffer.BlockCopy(driven, 0, data, 0, 16);
                bench.Ask(Operation.Pins, port, 0, data);
            }
        }

        private uint Input
        {
            get
            {
                var levels = Levels;
                for(var i = 0; i < pins; i++)
                {
                    if((configuration[i] & Disconnected) != 0)
                    {
                        levels &= ~(1u << i);
                    }
                }
                return levels;
            }
        }

        private void Look()
        {
            var levels = Input;
            uint met = 0;
            for(var i = 0; i < pins; i++)
            {
                var sense = configuration[i] >> 16 & 3;
                var level = levels >> i & 1;
                // A disconnected input senses nothing.
                var connected = (configuration[i] & Disconnected) == 0;
                met |= connected && (sense == 2 && level == 1 || sense == 3 && level == 0) ? 1u << i : 0;
            }
            latch |= met;
            var now = latched ? latch != 0 : met != 0;
            if(now != Detect)
            {
                Detect = now;
                if(DetectChanged != null)
                {
                    DetectChanged();
                }
            }
        }

        private uint output;
        private uint direction;
        private uint latch;
        private bool latched;
        private uint[] driven = new uint[4];
        private readonly uint[] configuration;
        private readonly uint all;
        private readonly int pins;
        private readonly byte port;
        private readonly Bench bench;

        private const uint Disconnected = 2;
        private const uint Configurable = 0x3070F;
    }
}
