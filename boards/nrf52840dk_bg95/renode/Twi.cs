// TWI, the master that handles single bytes. The address is sent with STARTTX or STARTRX, so an absent
// part causes ANACK even if no byte follows. The bytes of a write reach the part together, at the
// following STOP or repeated START. If the part rejects them, DNACK is reported then and not at the
// byte.
using System;
using System.Collections.Generic;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure.Registers;
using Antmicro.Renode.Logging;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class Twi : NrfPeripheral
    {
        public Twi(IMachine machine, Bench bench, byte number) : base(machine)
        {
            this.bench = bench;
            this.number = number;
            Awaited = alarm = new Alarm(machine, this, "bus", Elapsed);
            DefineRegisters();
        }

        public override void Reset()
        {
            base.Reset();
            Abandon();
        }

        private enum Phase
        {
            Idle, Addressing, Waiting, Sending, Receiving, Received, Refused, Held, Stopping,
        }

        private void DefineRegisters()
        {
            Task(0x000, "STARTRX", () => Start(true));
            Task(0x008, "STARTTX", () => Start(false));
            Task(0x014, "STOP", Stop);
            // No effect: between two bytes the controller waits for the firmware in any case.
            Task(0x01C, "SUSPEND", () => { });
            Task(0x020, "RESUME", Resume);
            stopped = DefineEvent(0x104, "STOPPED", 1);
            received = DefineEvent(0x108, "RXDREADY", 2);
            sent = DefineEvent(0x11C, "TXDSENT", 7);
            error = DefineEvent(0x124, "ERROR", 9);
            boundary = DefineEvent(0x138, "BB", 14);
            halted = DefineEvent(0x148, "SUSPENDED", 18);
            shorts = Keep(0x200, "SHORTS");
            DefineInterrupts();
            RegistersCollection.DefineRegister(0x4C4)
                .WithValueField(0, 3, out errors, FieldMode.Read | FieldMode.WriteOneToClear, name: "ERRORSRC");
            RegistersCollection.DefineRegister(0x500).WithValueField(0, 4, out enable, name: "ENABLE",
                writeCallback: (_, value) => { if(value != Enabled) Abandon(); });
            scl = Keep(0x508, "PSEL.SCL", 0xFFFFFFFF);
            sda = Keep(0x50C, "PSEL.SDA", 0xFFFFFFFF);
            RegistersCollection.DefineRegister(0x518).WithValueField(0, 8, FieldMode.Read, name: "RXD",
                valueProviderCallback: _ => data);
            RegistersCollection.DefineRegister(0x51C).WithValueField(0, 8, FieldMode.Write, name: "TXD",
                writeCallback: (_, value) => Send((byte)value));
            frequency = Keep(0x524, "FREQUENCY", 0x04000000);
            address = Keep(0x588, "ADDRESS");
        }

        private void Start(bool read)
        {
            if(enable.Value != Enabled)
            {
                Refuse(read ? "TASKS_STARTRX" : "TASKS_STARTTX", "the TWI is not enabled.");
                return;
            }
            if(!Flush())
            {
                return;
            }
            this.read = read;
            stopAsked = false;
            pending.Clear();
            var request = new[] { (byte)scl.Value, (byte)sda.Value, (byte)(address.Value << 1 | (read ? 1u : 0)) };
            byte status;
            var answer = bench.Ask(Operation.I2CStart, number, Hertz, request, out status, Bench.NotAcknowledged);
            acknowledged = status == Bench.Acknowledged;
            if(status == Bench.Stuck)
            {
                // A part holds SDA, so no START is possible and no event follows.
                phase = Phase.Held;
                return;
            }
            next = read && acknowledged ? answer[0] : (byte)0xFF;
            phase = Phase.Addressing;
            Wait(10 + (read && acknowledged ? 9u : 0));
        }

        private void Send(byte value)
        {
            if(phase == Phase.Addressing || phase == Phase.Sending)
            {
                pending.Enqueue(value);
            }
            else if(phase == Phase.Waiting)
            {
                Shift(value);
            }
        }

        private void Shift(byte value)
        {
            written.Add(value);
            phase = Phase.Sending;
            Wait(9);
        }

        private void Resume()
        {
            if(phase == Phase.Received)
            {
                next = bench.Ask(Operation.I2CNext, number, 0, null)?[0] ?? 0xFF;
                phase = Phase.Receiving;
                Wait(9);
            }
        }

        private void Stop()
        {
            switch(phase)
            {
            case Phase.Held:
            case Phase.Stopping:
                return;
            case Phase.Addressing:
            case Phase.Sending:
            case Phase.Receiving:
                stopAsked = true;
                return;
            default:
                EndTransfer();
                return;
            }
        }

        private void EndTransfer()
        {
            stopAsked = false;
            Flush();
            phase = Phase.Stopping;
            Wait(2);
        }

        // Sends the written bytes to the part, or ends a read; false if the part rejects it.
        private bool Flush()
        {
            var bytes = written.ToArray();
            written.Clear();
            if(phase == Phase.Received || phase == Phase.Receiving)
            {
                bench.Ask(Operation.I2CStop, number, 0, null);
            }
            if(bytes.Length == 0)
            {
                return true;
            }
            byte status;
            bench.Ask(Operation.I2CWrite, number, 0, bytes, out status, Bench.NotAcknowledged);
            if(status != Bench.Acknowledged)
            {
                Fail(DataNack);
                return false;
            }
            return true;
        }

        private void Fail(uint source)
        {
            errors.Value |= source;
            phase = Phase.Refused;
            Raise(error);
        }

        private void Elapsed()
        {
            switch(phase)
            {
            case Phase.Addressing:
                if(!acknowledged)
                {
                    Fail(AddressNack);
                }
                else if(read)
                {
                    Take();
                    return;
                }
                else
                {
                    phase = Phase.Waiting;
                    if(pending.Count > 0)
                    {
                        Shift(pending.Dequeue());
                        return;
                    }
                }
                break;
            case Phase.Sending:
                phase = Phase.Waiting;
                Raise(sent);
                Raise(boundary);
                if(pending.Count > 0)
                {
                    Shift(pending.Dequeue());
                    return;
                }
                break;
            case Phase.Receiving:
                Take();
                return;
            case Phase.Stopping:
                phase = Phase.Idle;
                Raise(stopped);
                return;
            default:
                return;
            }
            if(stopAsked)
            {
                EndTransfer();
            }
        }

        private void Take()
        {
            data = next;
            phase = Phase.Received;
            Raise(received);
            Raise(boundary);
            if(stopAsked || (shorts.Value & BoundaryStop) != 0)
            {
                EndTransfer();
            }
            else if((shorts.Value & BoundarySuspend) != 0)
            {
                Raise(halted);
            }
        }

        private void Abandon()
        {
            alarm.Cancel();
            if(phase == Phase.Received || phase == Phase.Receiving)
            {
                bench.Ask(Operation.I2CStop, number, 0, null);
            }
            phase = Phase.Idle;
            written.Clear();
            pending.Clear();
            stopAsked = false;
        }

        private uint Hertz
        {
            get
            {
                // 100, 250 and 400 kHz; the values are not proportional.
                return frequency.Value <= 0x01980000 ? 100000u : frequency.Value <= 0x04000000 ? 250000u : 400000u;
            }
        }

        private void Wait(uint bits)
        {
            alarm.After((bits * 1000000 + Hertz - 1) / Hertz);
        }

        private Phase phase;
        private bool read;
        private bool acknowledged;
        private bool stopAsked;
        private byte data;
        private byte next;
        private Event stopped, received, sent, error, boundary, halted;
        private IValueRegisterField shorts, errors, enable, scl, sda, frequency, address;
        private readonly List<byte> written = new List<byte>();
        private readonly Queue<byte> pending = new Queue<byte>();
        private readonly Alarm alarm;
        private readonly byte number;
        private readonly Bench bench;

        private const uint Enabled = 5;
        private const uint BoundarySuspend = 1;
        private const uint BoundaryStop = 2;
        private const uint AddressNack = 2;
        private const uint DataNack = 4;
    }
}
