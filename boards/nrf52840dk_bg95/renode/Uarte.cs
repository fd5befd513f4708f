// UARTE: a byte takes its time at the configured rate, in both directions. The receiver has the
// hardware's small FIFO; bytes beyond it are lost with ERRORSRC.OVERRUN. There is no flow control.
using System;
using System.Collections.Generic;
using Antmicro.Migrant;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;
using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.UART;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Uarte : NrfPeripheral, IUART, IDisposable
    {
        public Uarte(IMachine machine, Bench bench, byte number = 0) : base(machine)
        {
            this.bench = bench;
            this.number = number;
            arrival = new Alarm(machine, this, "arrival", Arrive);
            departure = new Alarm(machine, this, "departure", Depart);
            DefineRegisters();
        }

        public override void Reset()
        {
            base.Reset();
            lock(line)
            {
                // Bytes on the line during a restart of the chip are lost.
                line.Clear();
                moving = false;
            }
            arrival.Cancel();
            departure.Cancel();
            fifo.Clear();
            sending.Clear();
            receiving = transmitting = false;
        }

        // Receives a byte from the other end; bytes are spaced at the rate of the line.
        public void WriteChar(byte value)
        {
            bool first;
            lock(line)
            {
                line.Enqueue(value);
                first = !moving;
                moving = true;
            }
            if(first)
            {
                arrival.After(ByteMicroseconds);
            }
        }

        // Opens a loopback TCP port as the other end of the line.
        public void Listen(int port)
        {
            if(tcp != null)
            {
                throw new RecoverableException("The UART has a port already.");
            }
            tcp = new TcpLine(machine, port, WriteChar);
            CharReceived += tcp.Send;
        }

        public void Dispose()
        {
            if(tcp != null)
            {
                tcp.Dispose();
            }
        }

        public uint BaudRate { get; private set; } = 250000;
        public Bits StopBits { get { return (config.Value & 0x10) != 0 ? Bits.Two : Bits.One; } }
        public Parity ParityBit { get { return (config.Value & 0xE) != 0 ? Parity.Even : Parity.None; } }

        [field: Transient]
        public event Action<byte> CharReceived;

        private bool Enabled { get { return enable.Value == 8; } }
        private ulong ByteMicroseconds { get { return 10000000 / Math.Max(BaudRate, 1); } }

        private void DefineRegisters()
        {
            Task(0x000, "STARTRX", StartReceiving);
            Task(0x004, "STOPRX", StopReceiving);
            Task(0x008, "STARTTX", StartSending);
            Task(0x00C, "STOPTX", () =>
            {
                sending.Clear();
                departure.Cancel();
                transmitting = false;
                Raise(txStopped);
            });
            Task(0x02C, "FLUSHRX", () =>
            {
                receivedCount.Value = 0;
                Drain();
                Raise(endRx);
            });
            DefineEvent(0x100, "CTS", 0);
            DefineEvent(0x104, "NCTS", 1);
            rxReady = DefineEvent(0x108, "RXDRDY", 2);
            endRx = DefineEvent(0x110, "ENDRX", 4);
            txReady = DefineEvent(0x11C, "TXDRDY", 7);
            endTx = DefineEvent(0x120, "ENDTX", 8);
            error = DefineEvent(0x124, "ERROR", 9);
            rxTimeout = DefineEvent(0x144, "RXTO", 17);
            rxStarted = DefineEvent(0x14C, "RXSTARTED", 19);
            txStarted = DefineEvent(0x150, "TXSTARTED", 20);
            txStopped = DefineEvent(0x158, "TXSTOPPED", 22);
            shorts = Keep(0x200, "SHORTS");
            DefineInterrupts(both: true);
            RegistersCollection.DefineRegister(0x480)
                .WithValueField(0, 32, out errors, FieldMode.Read | FieldMode.WriteOneToClear, name: "ERRORSRC");
            enable = Keep(0x500, "ENABLE");
            foreach(var pin in new[] { 0x508, 0x50C, 0x510, 0x514 })
            {
                Keep(pin, "PSEL", 0xFFFFFFFF);
            }
            RegistersCollection.DefineRegister(0x524, 0x04000000).WithValueField(0, 32, name: "BAUDRATE",
                valueProviderCallback: _ => rate, writeCallback: (_, value) => SetRate((uint)value));
            rxPointer = Keep(0x534, "RXD.PTR");
            rxMaximum = Keep(0x538, "RXD.MAXCNT");
            RegistersCollection.DefineRegister(0x53C)
                .WithValueField(0, 32, out receivedCount, FieldMode.Read, name: "RXD.AMOUNT");
            txPointer = Keep(0x544, "TXD.PTR");
            txMaximum = Keep(0x548, "TXD.MAXCNT");
            RegistersCollection.DefineRegister(0x54C)
                .WithValueField(0, 32, out sentCount, FieldMode.Read, name: "TXD.AMOUNT");
            RegistersCollection.DefineRegister(0x56C).WithValueField(0, 32, out config, name: "CONFIG",
                writeCallback: (_, value) =>
                {
                    if((value & 1) != 0)
                    {
                        Refuse("CONFIG", "nobody drives CTS: with HWFC nothing is sent.");
                    }
                });
        }

        private void SetRate(uint value)
        {
            rate = value;
            // BAUDRATE is the rate in units of 16 MHz / 2^32, rounded, so take the nearest usual rate.
            var baud = value * 16e6 / 4294967296.0;
            var best = (uint)baud;
            foreach(var usual in Rates)
            {
                if(Math.Abs(usual - baud) < usual * 0.01)
                {
                    best = usual;
                }
            }
            if(best != BaudRate)
            {
                BaudRate = best;
                bench.Ask(Operation.Baud, number, best, null);
            }
        }

        private void StartReceiving()
        {
            if(!Enabled)
            {
                Refuse("TASKS_STARTRX", "the UARTE is not enabled.");
                return;
            }
            receivedCount.Value = 0;
            receiving = true;
            listening = true;
            Raise(rxStarted);
            Drain();
        }

        private void StopReceiving()
        {
            listening = false;
            if(receiving)
            {
                receiving = false;
                Raise(endRx);
            }
            Raise(rxTimeout);
        }

        private void Arrive()
        {
            byte value;
            lock(line)
            {
                if(line.Count == 0)
                {
                    return;
                }
                value = line.Dequeue();
                moving = line.Count > 0;
            }
            if(moving)
            {
                arrival.After(ByteMicroseconds);
            }
            if(!Enabled || !listening)
            {
                this.Log(LogLevel.Debug, "A byte is lost: the receiver is stopped.");
                return;
            }
            if(fifo.Count == FifoSize)
            {
                Refuse("RXD", "a byte is lost: the FIFO is full.");
                errors.Value |= Overrun;
                Raise(error);
                return;
            }
            fifo.Enqueue(value);
            Raise(rxReady);
            Drain();
        }

        // Moves received bytes to memory while a transfer is active.
        private void Drain()
        {
            while(receiving && fifo.Count > 0)
            {
                if(receivedCount.Value < rxMaximum.Value)
                {
                    sysbus.WriteByte(rxPointer.Value + receivedCount.Value, fifo.Dequeue());
                    receivedCount.Value++;
                }
                if(receivedCount.Value >= rxMaximum.Value)
                {
                    receiving = false;
                    Raise(endRx);
                    if((shorts.Value & EndRxStartRx) != 0)
                    {
                        StartReceiving();
                    }
                    else if((shorts.Value & EndRxStopRx) != 0)
                    {
                        StopReceiving();
                    }
                }
            }
        }

        private void StartSending()
        {
            if(!Enabled)
            {
                Refuse("TASKS_STARTTX", "the UARTE is not enabled.");
                return;
            }
            if(transmitting)
            {
                Refuse("TASKS_STARTTX", "a transfer is under way.");
                return;
            }
            sentCount.Value = 0;
            transmitting = true;
            foreach(var value in sysbus.ReadBytes(txPointer.Value, (int)(txMaximum.Value & 0xFFFF)))
            {
                sending.Enqueue(value);
            }
            Raise(txStarted);
            if(sending.Count == 0)
            {
                transmitting = false;
                Raise(endTx);
                return;
            }
            departure.After(ByteMicroseconds);
        }

        private void Depart()
        {
            if(sending.Count == 0)
            {
                return;
            }
            var value = sending.Dequeue();
            sentCount.Value++;
            if(CharReceived != null)
            {
                CharReceived(value);
            }
            Raise(txReady);
            if(sending.Count > 0)
            {
                departure.After(ByteMicroseconds);
                return;
            }
            transmitting = false;
            Raise(endTx);
        }

        private uint rate = 0x04000000;
        private bool moving;
        private bool receiving;
        private bool listening;
        private bool transmitting;
        private Event rxReady, endRx, txReady, endTx, error, rxTimeout, rxStarted, txStarted, txStopped;
        private IValueRegisterField shorts, errors, enable, config;
        private IValueRegisterField rxPointer, rxMaximum, receivedCount;
        private IValueRegisterField txPointer, txMaximum, sentCount;
        private TcpLine tcp;
        private readonly Queue<byte> line = new Queue<byte>();
        private readonly Queue<byte> fifo = new Queue<byte>();
        private readonly Queue<byte> sending = new Queue<byte>();
        private readonly Alarm arrival;
        private readonly Alarm departure;
        private readonly byte number;
        private readonly Bench bench;

        private const int FifoSize = 5;
        private const uint Overrun = 1;
        private const uint EndRxStartRx = 1 << 5;
        private const uint EndRxStopRx = 1 << 6;
        private static readonly uint[] Rates =
        {
            1200, 2400, 4800, 9600, 14400, 19200, 28800, 31250, 38400, 56000, 57600, 76800, 115200,
            230400, 250000, 460800, 921600, 1000000,
        };
    }
}
