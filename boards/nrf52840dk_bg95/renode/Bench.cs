// The board around the chip: one loopback connection to the simulator, which models the other parts.
//
// Every bus transfer, change of an output and conversion is a request with the virtual time; the reply
// contains the levels of all pins. simulator/renode/bench.py describes the protocol. Virtual time
// stops while a reply is outstanding.
using System;
using System.IO;
using System.Net.Sockets;
using Antmicro.Renode.Core;
using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Peripherals.Timers;
using Antmicro.Renode.Time;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public enum Operation : byte
    {
        Hello = 0, Tick = 1, Pins = 2, I2CStart = 3, I2CWrite = 4, I2CNext = 5, I2CStop = 6,
        Spi = 7, Adc = 8, Baud = 9, Reset = 10, Off = 11, Nvmc = 12,
    }

    public static class Processor
    {
        // Advances the processor's time without executing instructions, so a waiting loop costs no
        // host time. The processor takes no interrupt meanwhile.
        public static void Skip(IMachine machine, ulong microseconds)
        {
            ICPU cpu;
            if(machine.SystemBus.TryGetCurrentCPU(out cpu) && cpu is BaseCPU)
            {
                ((BaseCPU)cpu).SkipTime(TimeInterval.FromMicroseconds(microseconds));
            }
        }
    }

    // A scheduled call in virtual time, exact to the microsecond.
    public class Alarm
    {
        public Alarm(IMachine machine, IPeripheral owner, string name, Action action)
        {
            timer = new LimitTimer(machine.ClockSource, 1000000, owner, name, limit: 1,
                direction: Direction.Ascending, workMode: WorkMode.OneShot, eventEnabled: true, autoUpdate: true);
            timer.LimitReached += () =>
            {
                Pending = false;
                action();
            };
        }

        public void After(ulong microseconds)
        {
            // Each assignment searches all timers. Setting the limit also sets the value to 0.
            timer.Limit = Math.Max(1, microseconds);
            if(!Pending)
            {
                Pending = true;
                timer.Enabled = true;
            }
        }

        public void Cancel()
        {
            if(Pending)
            {
                Pending = false;
                timer.Enabled = false;
            }
        }

        public bool Pending { get; private set; }
        public ulong Remaining { get { return timer.Limit - timer.Value; } }

        private readonly LimitTimer timer;
    }

    public class Bench : IDoubleWordPeripheral, IKnownSize, IDisposable
    {
        public Bench(IMachine machine, ICPU cpu)
        {
            this.machine = machine;
            this.cpu = cpu;
            tick = new Alarm(machine, this, "tick", () => Ask(Operation.Tick, 0, 0, null));
        }

        // Connects to the simulator's bench port; call it before the machine is started. Port 0 means
        // no board: inputs read 0 and no part acknowledges.
        public void Connect(int port)
        {
            if(port == 0)
            {
                return;
            }
            lock(sync)
            {
                if(stream != null)
                {
                    throw new RecoverableException("The board is connected already.");
                }
                var client = new TcpClient();
                try
                {
                    client.Connect("127.0.0.1", port);
                }
                catch(SocketException e)
                {
                    throw new RecoverableException(String.Format(
                        "No board at port {0}: {1}. Start the simulator's bench first.", port, e.Message));
                }
                client.NoDelay = true;
                client.ReceiveTimeout = LimitMilliseconds;
                client.SendTimeout = LimitMilliseconds;
                stream = client.GetStream();
                Powered = false;
                outages = 0;
            }
            Ask(Operation.Hello, 0, Version, null);
            if(!Powered)
            {
                cpu.IsHalted = true;
            }
        }

        // Sends a request to the board. Without a board or supply, the answer is null with the status
        // `missing`.
        public byte[] Ask(Operation operation, byte unit, uint argument, byte[] data, byte missing = 0)
        {
            byte status;
            return Ask(operation, unit, argument, data, out status, missing);
        }

        public byte[] Ask(Operation operation, byte unit, uint argument, byte[] data, out byte status, byte missing = 0)
        {
            byte[] answer;
            bool levelsChanged, lost, returned, vbusChanged;
            lock(sync)
            {
                status = missing;
                if(stream == null)
                {
                    return null;
                }
                try
                {
                    Send(operation, unit, argument, data ?? new byte[0]);
                    Receive(header, header.Length);
                    answer = new byte[BitConverter.ToUInt16(header, 4)];
                    Receive(answer, answer.Length);
                }
                catch(ObjectDisposedException)
                {
                    stream = null;
                    return null;
                }
                catch(IOException e)
                {
                    this.Log(LogLevel.Error, "The board is gone: {0} The chip is halted.", e.Message);
                    stream = null;
                    // Halting here could deadlock, because a waiting thread may hold the lock that it
                    // needs.
                    machine.LocalTimeSource.ExecuteInNearestSyncedState(_ => cpu.IsHalted = true);
                    return null;
                }
                var flags = header[1];
                var cuts = BitConverter.ToUInt16(header, 2);
                var due = BitConverter.ToUInt64(header, 8);
                var levels = BitConverter.ToUInt64(header, 16);
                var powered = (flags & 1) != 0;
                var vbus = (flags & 2) != 0;
                lost = Powered && (!powered || cuts != outages);
                returned = powered && (!Powered || cuts != outages);
                vbusChanged = vbus != Vbus;
                levelsChanged = levels != Levels;
                outages = cuts;
                Powered = powered;
                Vbus = vbus;
                Levels = levels;
                status = lost ? missing : header[0];
                answer = lost ? null : answer;
                var now = Now;
                var next = Math.Min(Math.Max(due, now + ShortestTick), now + LongestTick);
                // An earlier TICK receives the same due time again.
                if(!tick.Pending || next < aimed)
                {
                    aimed = next;
                    tick.After(next - now);
                }
            }
            if(lost && PowerLost != null)
            {
                PowerLost();
            }
            if(returned && PowerReturned != null)
            {
                PowerReturned();
            }
            if(vbusChanged && VbusChanged != null)
            {
                VbusChanged();
            }
            if(levelsChanged && LevelsChanged != null)
            {
                LevelsChanged();
            }
            return answer;
        }

        public void Reset()
        {
        }

        public void Dispose()
        {
            var connection = stream;
            if(connection != null)
            {
                connection.Close();
            }
        }

        public uint ReadDoubleWord(long offset)
        {
            return 0;
        }

        public void WriteDoubleWord(long offset, uint value)
        {
        }

        // Virtual microseconds since the machine was created.
        public ulong Now
        {
            get
            {
                ICPU current;
                if(machine.SystemBus.TryGetCurrentCPU(out current))
                {
                    current.SyncTime();
                }
                return machine.ClockSource.CurrentValue.Ticks / TimeInterval.TicksPerMicrosecond;
            }
        }

        public bool Powered { get; private set; } = true;
        public bool Vbus { get; private set; }
        public ulong Levels { get; private set; }
        public long Size { get { return 0x10; } }

        public event Action LevelsChanged;
        public event Action VbusChanged;
        public event Action PowerLost;
        public event Action PowerReturned;

        public const byte Acknowledged = 0;
        public const byte NotAcknowledged = 1;
        public const byte Stuck = 2;
        public const byte Stalled = 1;

        private void Send(Operation operation, byte unit, uint argument, byte[] data)
        {
            var frame = new byte[16 + data.Length];
            frame[0] = (byte)operation;
            frame[1] = unit;
            BitConverter.GetBytes((ushort)data.Length).CopyTo(frame, 2);
            BitConverter.GetBytes(argument).CopyTo(frame, 4);
            BitConverter.GetBytes(Now).CopyTo(frame, 8);
            data.CopyTo(frame, 16);
            stream.Write(frame, 0, frame.Length);
        }

        private void Receive(byte[] buffer, int count)
        {
            for(var got = 0; got < count;)
            {
                var n = stream.Read(buffer, got, count - got);
                if(n == 0)
                {
                    throw new IOException("it has closed the connection.");
                }
                got += n;
            }
        }

        private NetworkStream stream;
        private ushort outages;
        private ulong aimed;
        private readonly byte[] header = new byte[24];
        private readonly object sync = new object();
        private readonly Alarm tick;
        private readonly ICPU cpu;
        private readonly IMachine machine;

        private const uint Version = 1;
        private const ulong ShortestTick = 20;
        private const ulong LongestTick = 10000;
        // An answer of a broker may take 20 s. The simulator's own limit is shorter than this one.
        private const int LimitMilliseconds = 120000;
    }
}
