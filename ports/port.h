/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port: one Ethernet cable of the soft board.
 *
 * The board hands a port memory and buffers; the port moves frames between
 * them and the cable.  A port knows nothing of PCI, peers or switching.
 *
 * THREADS: open and close run on any thread; everything else runs on the one
 * worker that owns the NIC's queue, and never blocks longer than a system call that
 * does not sleep.
 *
 * LIFE:   open -> (start -> ... -> stop)* -> close
 *   open   parses the spec's options and acquires what can fail for reasons
 *          the user must mend (files, devices, sockets); fails with one line.
 *   start  hands over the memory; the cable comes up (link may follow later).
 *   stop   the port forgets every buffer, cuts the cable, unmaps.  After it
 *          returns nobody behind the cable can reach the memory through a
 *          mapping that the port made.
 *
 * BUFFERS
 *   receive: the board posts empty buffers (rx_post), the port returns them
 *            filled (rx_burst), each posted buffer at most once.
 *   send:    the board lends filled segments (tx_burst); they belong to the
 *            port until tx_done has counted them, in the order given.
 *            Buffers in mem.place, the egress NIC's memory, come back exactly in the order in which they were
 *            posted, also over a link that goes down and up; one whose frame was refused is given back
 *            in its turn with P2P_SEG_BACK and is no frame.  Only ports that say in_order() get such.
 *   A frame is one or more segments; all but the last carry P2P_SEG_MORE.
 *   Neither rx_burst nor tx_burst ever ends in the middle of a frame.
 *
 * QUEUES  A cable with several queues, as a NIC with receive-side scaling, has a
 *   struct port for each (port_ops.queue), with memory, buffers, counts and a
 *   worker of its own.  All frames of a flow come from one queue, in order, and
 *   what one queue sends stays in order.  Different queues are called at the same
 *   time, but for start and stop, during which no worker is in any of them;
 *   queue 0 is started first and stopped last.
 */
#ifndef PORTS_PORT_H
#define PORTS_PORT_H

#include <p2pnic/types.h>
#include <p2pnic/counters.h>
#include <p2pnic/seg.h>

#define PORT_ERR_MAX 256
#define PORT_NAME_MAX 64
#define PORT_MAX_REGIONS 64

struct port_region {
	uint8_t *base;
	size_t size;
	int fd; /* the sealed memfd behind base, at offset 0; may be shared with the cable's far end */
};

/* All memory that buffers of this port may lie in.  Valid until stop. */
struct port_memory {
	unsigned int n;
	unsigned int place; /* cut-through: this region is another NIC's, receive buffers lie in it; 0: none */
	struct port_region region[PORT_MAX_REGIONS];
	uint32_t buf_size; /* bytes of each receive buffer */
	uint32_t rx_bufs;  /* how many of them the board owns for this port */
	unsigned int queues; /* how many of the port's queues are started along with this one, it included; 0 means 1 */
};

/*
 * Counters, each written by one thread, the worker or one of the port's own,
 * with p2p_count(), read by anyone with p2p_count_read().  PORT_COUNTERS in <p2pnic/counters.h> is the list.
 */
struct port_stats {
#define X(name, desc) uint64_t name;
	PORT_COUNTERS(X)
#undef X
};

/* A parsed port spec: scheme:target[,key=value]... */
#define PORT_SPEC_MAX_OPTS 24
struct port_spec {
	char text[512]; /* the spec as given, for messages */
	char *scheme;
	char *target;
	unsigned int n;
	struct { char *key, *value; bool used; } opt[PORT_SPEC_MAX_OPTS]; /* value "" where the spec has none */
	char buf[512];
};

struct port;

struct port_ops {
	const char *scheme;
	const char *help; /* one line: the spec's form and what it is */
	/*
	 * *out is left alone on failure and err holds one line that says what
	 * was wrong and what to do.  Returns 0 or -errno (-EINVAL: the spec).
	 */
	int (*open)(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX]);
	/* On failure p->start_err may hold one line; the caller clears it before. */
	int (*start)(struct port *p, const struct port_memory *mem);
	void (*stop)(struct port *p);
	void (*close)(struct port *p);

	/* Up to n segments of received frames; returns how many. */
	unsigned int (*rx_burst)(struct port *p, struct p2p_seg *segs, unsigned int n);
	/* Empty buffers; takes the first k of them and returns k. */
	unsigned int (*rx_post)(struct port *p, const struct p2p_seg *segs, unsigned int n);
	/* Whole frames; takes the first k segments and returns k.  0 while the link is down. */
	unsigned int (*tx_burst)(struct port *p, const struct p2p_seg *segs, unsigned int n);
	/* Segments, oldest first, whose memory the port has finished with since the last call. */
	unsigned int (*tx_done)(struct port *p);

	/*
	 * Control work that is not per packet: connecting, handshakes, link
	 * changes, timeouts.  Called about once a millisecond while busy and
	 * whenever an fd of the port was ready.
	 */
	void (*control)(struct port *p, uint64_t now_ns);
	/*
	 * Descriptors to wait on (level-triggered, for reading) while the
	 * worker sleeps.  May change after any control(); `gen` increments when
	 * they do.  Fills up to max, returns how many.
	 */
	unsigned int (*fds)(struct port *p, int *fds, unsigned int max, uint32_t *gen);
	/*
	 * About to sleep (true): ask the far end for wake-ups, after which the
	 * worker looks at rx_burst and tx_done once more.  Awake again (false).
	 * May be NULL.
	 */
	void (*arm)(struct port *p, bool sleeping);
	/* When rx_burst will have something without any fd becoming ready (paced generators): ns, or UINT64_MAX.  May be NULL. */
	uint64_t (*next_event)(struct port *p, uint64_t now_ns);
	bool (*link_up)(struct port *p);
	/* True: receive buffers come back in the order in which they were posted.  May be NULL: no. */
	bool (*in_order)(struct port *p);
	/* True once a port that ends (pcap input) has delivered all its frames.  May be NULL: never ends. */
	bool (*exhausted)(struct port *p);
	/*
	 * Queue q, q > 0, of a cable that has several (p is queue 0): a port of its own with the same operations, but that
	 * open, close, exhausted and finish are p's alone.  Lives as long as p.  NULL: there is no such queue.  May be NULL:
	 * one queue.
	 */
	struct port *(*queue)(struct port *p, unsigned int q);
	/* At the very end, after stop: what could not be completed (output file write error).  0 or -errno and err.  May be NULL. */
	int (*finish)(struct port *p, char err[PORT_ERR_MAX]);
};

/* Every implementation's object begins with this. */
struct port {
	const struct port_ops *ops;
	char name[PORT_NAME_MAX]; /* the spec's scheme:target, cut to fit */
	struct port_stats stats;
	char start_err[PORT_ERR_MAX]; /* why the last start() failed, one line; empty: its errno says it */
};

/* The table of schemes, NULL-terminated. */
extern const struct port_ops *const port_schemes[];

/*
 * Parses "scheme:target,key=value,..." into *spec.  Returns 0 or -EINVAL with
 * one line in err.  Does not check the keys: port_open() does, by refusing any
 * key that the scheme's open() did not look up.
 */
int port_spec_parse(struct port_spec *spec, const char *text, char err[PORT_ERR_MAX]);
/* The value of a key ("" if given without one), or NULL; marks it used. */
const char *port_spec_get(const struct port_spec *spec, const char *key);
/*
 * A number option (k/M/G suffixes allowed) within [min,max]; *v keeps its value
 * (the default) if the key is absent.  Returns 0 or -EINVAL with err set.
 */
int port_spec_get_u64(const struct port_spec *spec, const char *key, uint64_t min, uint64_t max,
		      uint64_t *v, char err[PORT_ERR_MAX]);
/* Parses, finds the scheme, opens, refuses unknown keys. */
/* A MAC address as 02:00:00:00:00:01, two digits each, all of the `len` bytes; -EINVAL otherwise. */
int port_mac_parse(const char *text, size_t len, uint8_t mac[6]);

int port_open(struct port **out, const char *text, char err[PORT_ERR_MAX]);

#endif
