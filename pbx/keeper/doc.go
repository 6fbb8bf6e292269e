// Package keeper lets a process die without losing its sockets: a small parent
// holds a copy of every descriptor that its child names, restarts the child
// when it dies, and hands them back. Packets that arrive in between wait in the
// sockets' buffers. systemd's file-descriptor store does the same.
//
//	parent (pid 1) ── holds name → descriptors; forwards signals; reaps
//	  └── child: Take what an earlier child left, Keep, Drop, Ready
//
// The child's side is a Keeper. Without a parent it is None, which holds
// nothing: every part of the PBX works the same then, but for what a crash
// costs. The package imports nothing of ours and knows nothing of what the
// descriptors are for.
package keeper
