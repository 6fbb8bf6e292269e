// Package poll reads many UDP sockets with few threads.
//
// A leg's socket has one packet each 20 ms. A goroutine a socket pays for each
// of them with the scheduler's work: to be woken, to read, to find out that
// nothing more is there, to park. A Poller owns many sockets instead: one
// goroutine asks epoll which of them have something, reads one packet of each
// and hands it over before it reads the next. While many packets come it naps
// between two looks, so that each look gathers what came in the meantime;
// while few come it is parked, and wakes up for nothing else.
//
// It is parked by the runtime, which watches the epoll set as it would a file. A
// thread that blocks in the kernel with the runtime's knowledge costs more: the
// runtime looks after it every 20 µs as long as others have something to do.
//
// Sockets whose packets may wait (Calm) are looked at a hundred times a second.
//
//	sockets ─► epoll ─► Poller.run ─► Reader.Read ─► Socket.Send
//	              ▲          │
//	              └── nap ◄──┘ while many packets come
//
// Reading and sending are raw system calls that cannot block, so the runtime
// is not told of them; nothing is allocated for a packet. Only the poller reads
// a socket and closes it; anybody may send, as long as it is open: who closes
// must see to that.
//
// The package knows nothing of RTP.
package poll
