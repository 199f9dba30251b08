/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system calls of a NIC process whose ports are open: all of them, with the
 * reason.  What is not here fails with EPERM.
 *
 *   X(call, need, conditions, why)
 *
 * need: 0, or the bits of enum sandbox_need of which the process must have one.
 * conditions: all must hold; IS(n, v): the low half of argument n is v; BITS(n, mask, v): of these bits; NIL(n): a null
 * pointer; ME(n): this process.  A call may have several lines.
 *
 * clone3() is refused with ENOSYS instead: the C library then takes clone(),
 * whose flags a filter can see.
 */
#ifndef CLI_SANDBOX_CALLS_H
#define CLI_SANDBOX_CALLS_H

#define SANDBOX_THREAD_ONLY (CLONE_THREAD | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP)
#define SANDBOX_OPEN_BITS (O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE)

#define SANDBOX_CALLS(X) \
	/* sockets, cables and files that are open */ \
	X(read, 0, ALWAYS, "tap, eventfds, timers") \
	X(write, 0, ALWAYS, "tap, eventfds, pcap output, standard output") \
	X(readv, 0, ALWAYS, "tap: frames in several buffers") \
	X(writev, 0, ALWAYS, "the same") \
	X(preadv2, 0, ALWAYS, "bells are emptied without sleeping: RWF_NOWAIT (sock/bell.h)") \
	X(io_submit, 0, IS(1, 1), "bells are rung without sleeping; the context was made before") \
	X(io_getevents, 0, IS(1, 0), "the same: room for more. Never waits") \
	X(pread64, 0, ALWAYS, "stdio") \
	X(pwrite64, 0, ALWAYS, "stdio") \
	X(lseek, 0, ALWAYS, "stdio; pcap input that begins again") \
	X(close, 0, ALWAYS, "descriptors that peers handed over") \
	X(recvmsg, 0, ALWAYS, "vfio-user and memif: messages with descriptors") \
	X(sendmsg, 0, ALWAYS, "the same") \
	X(recvfrom, 0, ALWAYS, "control socket, netlink news of links") \
	X(sendto, 0, ALWAYS, "control socket; xdp: wake the kernel") \
	X(recvmmsg, SANDBOX_ROUTER, ALWAYS, "netlink") \
	X(poll, 0, ALWAYS, "workers, control socket, vfio-user server asleep") \
	X(ppoll, 0, ALWAYS, "the same") \
	X(epoll_create1, 0, ALWAYS, "memif: a queue of its own") \
	X(epoll_ctl, 0, ALWAYS, "memif peers come and go") \
	X(epoll_wait, 0, ALWAYS, "the same") \
	X(epoll_pwait, 0, ALWAYS, "the same") \
	X(eventfd2, 0, ALWAYS, "interrupts of rings, wake-ups") \
	X(timerfd_create, 0, ALWAYS, "memif reconnects") \
	X(timerfd_settime, 0, ALWAYS, "the same") \
	X(accept4, 0, ALWAYS, "vfio-user clients, memif clients, observers") \
	X(accept, 0, ALWAYS, "the same") \
	X(connect, 0, ALWAYS, "memif client reconnects; final statistics") \
	X(socket, 0, IS(0, AF_UNIX), "the same; look-up of an interface's index") \
	X(socket, SANDBOX_XDP, IS(0, AF_XDP), "xdp: at every start") \
	X(socket, SANDBOX_XDP | SANDBOX_ROUTER, IS(0, AF_INET), "ioctls on interfaces") \
	X(socket, SANDBOX_XDP | SANDBOX_ROUTER, IS(0, AF_NETLINK), "xdp: query of a foreign program; router: all it knows") \
	X(bind, SANDBOX_XDP | SANDBOX_ROUTER, ALWAYS, "xdp sockets to queues; netlink") \
	X(shutdown, 0, ALWAYS, "a vfio-user client is cut off") \
	X(getsockname, 0, ALWAYS, "netlink port numbers") \
	X(getsockopt, 0, ALWAYS, "peer credentials, xdp rings") \
	X(setsockopt, 0, ALWAYS, "buffer sizes, xdp memory") \
	X(socketpair, 0, IS(0, AF_UNIX), "connections within the process") \
	X(pipe2, 0, ALWAYS, "the same") \
	X(dup, 0, ALWAYS, "a descriptor that goes on to someone else") \
	X(dup3, 0, ALWAYS, "the same") \
	X(fcntl, 0, IS(1, F_GETFD), "flags") \
	X(fcntl, 0, IS(1, F_SETFD), "flags") \
	X(fcntl, 0, IS(1, F_GETFL), "what a handed over descriptor may do") \
	X(fcntl, 0, IS(1, F_SETFL), "not to wait in it") \
	X(fcntl, 0, IS(1, F_DUPFD_CLOEXEC), "a descriptor that goes on to someone else") \
	X(fcntl, 0, IS(1, F_ADD_SEALS), "our memory is sealed") \
	X(fcntl, 0, IS(1, F_GET_SEALS), "is theirs?") \
	X(ioctl, 0, IS(1, TCGETS), "stdio: is it a terminal?") \
	X(ioctl, 0, IS(1, SIOCGIFFLAGS), "tap, xdp: is the device up?") \
	X(ioctl, 0, IS(1, SIOCGIFMTU), "tap, xdp: its longest frame") \
	X(ioctl, 0, IS(1, SIOCGIFINDEX), "xdp: is it still the same?") \
	X(ioctl, SANDBOX_XDP, IS(1, SIOCETHTOOL), "xdp: its queues") \
	X(ioctl, SANDBOX_ROUTER, ALWAYS, "router: makes devices and sets them up") \
	X(fstat, 0, ALWAYS, "how large is a region?") \
	X(newfstatat, 0, ALWAYS, "the same; is the socket file still ours?") \
	X(stat, 0, ALWAYS, "the same") \
	X(lstat, 0, ALWAYS, "the same") \
	X(statx, 0, ALWAYS, "the same") \
	X(fstatfs, 0, ALWAYS, "page size of a region") \
	X(readlink, 0, ALWAYS, "/proc/self/fd: the name of a region, for messages") \
	X(readlinkat, 0, ALWAYS, "the same") \
	X(openat, 0, BITS(2, SANDBOX_OPEN_BITS, O_RDONLY), \
	  "/proc/self/fd: device memory for readers only; pcap input that begins again; route file; namespace") \
	X(open, 0, BITS(1, SANDBOX_OPEN_BITS, O_RDONLY), "the same") \
	X(openat, SANDBOX_ROUTER, ALWAYS, "/dev/net/tun, sysctls of its devices") \
	X(unlink, 0, ALWAYS, "our sockets at the end") \
	X(unlinkat, 0, ALWAYS, "the same") \
	X(fdatasync, SANDBOX_PCAP, ALWAYS, "is all of the output on the disk?") \
	X(fadvise64, SANDBOX_PCAP, ALWAYS, "input that begins again is read in order") \
	X(access, SANDBOX_PCAP, ALWAYS, "why it can't be read again") \
	X(faccessat, SANDBOX_PCAP, ALWAYS, "the same") \
	X(rename, SANDBOX_PCAP, ALWAYS, "the output gets its name") \
	X(renameat, SANDBOX_PCAP, ALWAYS, "the same") \
	X(renameat2, SANDBOX_PCAP, ALWAYS, "the same") \
	X(setns, SANDBOX_NETNS, BITS(1, 0xffffffff, CLONE_NEWNET), "xdp: a socket in the port's namespace, and back") \
	X(bpf, SANDBOX_XDP, IS(0, BPF_MAP_UPDATE_ELEM), "xdp: a queue's socket") \
	X(bpf, SANDBOX_XDP, IS(0, BPF_MAP_CREATE), "xdp: an interface that was away gets its program again") \
	X(bpf, SANDBOX_XDP, IS(0, BPF_PROG_LOAD), "the same") \
	X(bpf, SANDBOX_XDP, IS(0, BPF_LINK_CREATE), "the same") \
	/* memory */ \
	X(memfd_create, 0, ALWAYS, "device memory and rings, when the NIC is configured") \
	X(ftruncate, 0, ALWAYS, "the same") \
	X(fallocate, 0, ALWAYS, "the same: are there huge pages?") \
	X(fchmod, 0, ALWAYS, "the same: read-only for others") \
	X(mmap, 0, BITS(2, PROT_EXEC, 0), "the same; peers' regions; malloc; SIGBUS handler (ports/guard.h). Never code") \
	X(mprotect, 0, BITS(2, PROT_EXEC, 0), "malloc, stacks of threads. Never code") \
	X(munmap, 0, ALWAYS, "regions that are gone") \
	X(mremap, 0, ALWAYS, "realloc") \
	X(madvise, 0, ALWAYS, "huge pages; malloc") \
	X(brk, 0, ALWAYS, "malloc") \
	/* threads and time */ \
	X(clone, 0, BITS(0, SANDBOX_THREAD_ONLY, CLONE_THREAD), "workers. Never a process") \
	X(set_robust_list, 0, ALWAYS, "a thread begins") \
	X(rseq, 0, ALWAYS, "the same") \
	X(futex, 0, ALWAYS, "locks") \
	X(sched_yield, 0, ALWAYS, "waits for an answer to a message") \
	X(sched_getaffinity, 0, ALWAYS, "how many CPUs; may a worker run there?") \
	X(sched_setaffinity, 0, ALWAYS, "a worker is pinned") \
	X(prctl, 0, IS(0, PR_SET_NAME), "a thread's name") \
	X(prctl, 0, IS(0, PR_SET_TIMERSLACK), "paced generators") \
	X(nanosleep, 0, ALWAYS, "waits") \
	X(clock_nanosleep, 0, ALWAYS, "waits") \
	X(clock_gettime, 0, ALWAYS, "CPU time of a worker; machines whose clock is no vDSO's") \
	X(clock_getres, 0, ALWAYS, "the same") \
	X(gettimeofday, 0, ALWAYS, "the same") \
	X(getcpu, 0, ALWAYS, "the same") \
	X(restart_syscall, 0, ALWAYS, "a wait goes on after SIGSTOP and SIGCONT") \
	X(exit, 0, ALWAYS, "a thread ends") \
	X(exit_group, 0, ALWAYS, "the process ends") \
	/* signals */ \
	X(rt_sigaction, 0, ALWAYS, "SIGBUS handler") \
	X(rt_sigprocmask, 0, ALWAYS, "threads take none but SIGBUS") \
	X(rt_sigreturn, 0, ALWAYS, "the handler's end") \
	X(rt_sigtimedwait, 0, ALWAYS, "SIGINT and SIGTERM end us") \
	X(sigaltstack, 0, ALWAYS, "handlers") \
	X(tgkill, 0, ME(0), "abort(), and a SIGBUS that is not ours") \
	/* who we are */ \
	X(getpid, 0, ALWAYS, "statistics") \
	X(gettid, 0, ALWAYS, "abort()") \
	X(getuid, 0, ALWAYS, "runtime directory") \
	X(geteuid, 0, ALWAYS, "credentials of who connects") \
	X(getgid, 0, ALWAYS, "the same") \
	X(getegid, 0, ALWAYS, "the same") \
	X(getrandom, 0, ALWAYS, "malloc") \
	X(uname, 0, ALWAYS, "libbpf: the kernel's version") \
	X(sysinfo, 0, ALWAYS, "qsort: how much memory") \
	X(prlimit64, 0, NIL(2), "sysconf; to read a limit, not to set it")

#endif
