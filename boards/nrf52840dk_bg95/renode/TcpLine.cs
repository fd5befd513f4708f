// The other end of a UART as a TCP port: plain bytes, one client at a time. Renode's own socket
// terminal listens on every interface, this one only on loopback.
using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using Antmicro.Renode.Core;
using Antmicro.Renode.Exceptions;

namespace Antmicro.Renode.Peripherals.Coldtrail
{
    public class TcpLine : IDisposable
    {
        public TcpLine(IMachine machine, int port, Action<byte> received)
        {
            this.machine = machine;
            this.received = received;
            listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start(1);
            }
            catch(SocketException e)
            {
                throw new RecoverableException(String.Format("UART port {0} cannot be opened: {1}.", port, e.Message));
            }
            new Thread(Serve) { IsBackground = true, Name = "UART port" }.Start();
        }

        // Bytes sent without a connected client are lost, as on a real line.
        public void Send(byte value)
        {
            var peer = stream;
            try
            {
                if(peer != null)
                {
                    peer.WriteByte(value);
                }
            }
            catch(IOException)
            {
                stream = null;
            }
            catch(ObjectDisposedException)
            {
                stream = null;
            }
        }

        public void Dispose()
        {
            listener.Stop();
            var peer = stream;
            if(peer != null)
            {
                peer.Close();
            }
        }

        private void Serve()
        {
            var buffer = new byte[4096];
            while(true)
            {
                try
                {
                    using(var client = listener.AcceptTcpClient())
                    {
                        client.NoDelay = true;
                        client.SendTimeout = SendLimitMilliseconds;
                        stream = client.GetStream();
                        int n;
                        while((n = client.GetStream().Read(buffer, 0, buffer.Length)) > 0)
                        {
                            var bytes = new byte[n];
                            Array.Copy(buffer, bytes, n);
                            // Only the machine may set its timers, between two of its steps.
                            machine.LocalTimeSource.ExecuteInNearestSyncedState(_ => Array.ForEach(bytes, received));
                        }
                    }
                }
                catch(IOException)
                {
                    // The client has disconnected; wait for the next one.
                }
                catch(SocketException)
                {
                    return;
                }
                catch(ObjectDisposedException)
                {
                    return;
                }
                catch(InvalidOperationException)
                {
                    return;
                }
                finally
                {
                    stream = null;
                }
            }
        }

        private volatile NetworkStream stream;
        private readonly TcpListener listener;
        private readonly Action<byte> received;
        private readonly IMachine machine;

        private const int SendLimitMilliseconds = 20000;
    }
}
