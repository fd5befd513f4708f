// GPIOTE: channels in event mode and the PORT event. Channels in task mode are rejected.
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Gpiote : NrfPeripheral
    {
        public Gpiote(IMachine machine, Bench bench, Gpio port0, Gpio port1) : base(machine)
        {
            this.bench = bench;
            for(var i = 0; i < Channels; i++)
            {
                var n = i;
                inputs[n] = DefineEvent(0x100 + 4 * n, "IN" + n, n);
                Task(4 * n, "OUT" + n, () => Refuse("TASKS_OUT", "task mode is not modelled."));
                Task(0x030 + 4 * n, "SET" + n, () => Refuse("TASKS_SET", "task mode is not modelled."));
                Task(0x060 + 4 * n, "CLR" + n, () => Refuse("TASKS_CLR", "task mode is not modelled."));
                RegistersCollection.DefineRegister(0x510 + 4 * n)
                    .WithValueField(0, 32, out configuration[n], name: "CONFIG", writeCallback: (_, value) =>
                    {
                        if((value & 3) == 3)
                        {
                            Refuse("CONFIG", "task mode is not modelled.");
                        }
                    });
            }
            port = DefineEvent(0x17C, "PORT", 31);
            DefineInterrupts();
            bench.LevelsChanged += Look;
            port0.DetectChanged += () => Detected(port0);
            port1.DetectChanged += () => Detected(port1);
        }

        private void Detected(Gpio from)
        {
            if(from.Detect)
            {
                Raise(port);
            }
        }

        private void Look()
        {
            var changed = bench.Levels ^ before;
            before = bench.Levels;
            for(var i = 0; i < Channels; i++)
            {
                var value = (uint)configuration[i].Value;
                var pin = (int)(value >> 8 & 0x3F);
                var polarity = value >> 16 & 3;
                if((value & 3) == 1 && (changed >> pin & 1) != 0)
                {
                    var high = (before >> pin & 1) != 0;
                    if((polarity & (high ? 1u : 2u)) != 0)
                    {
                        Raise(inputs[i]);
                    }
                }
            }
        }

        private ulong before;
        private readonly Event port;
        private readonly Event[] inputs = new Event[Channels];
        private readonly IValueRegisterField[] configuration = new IValueRegisterField[Channels];
        private readonly Bench bench;

        private const int Channels = 8;
    }
}
