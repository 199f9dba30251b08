/* SPDX-License-Identifier: BSD-3-Clause */
/* null: a cable that swallows what is sent and never delivers anything. */
#include <stdio.h>

#include "ports/buffers.h"
#include "ports/schemes.h"

struct null_port {
	struct port port;
	unsigned int done; /* segments taken and not yet reported */
	bool started;
};

static int null_open(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	struct null_port *n = calloc(1, sizeof(*n));

	if (!n) {
		snprintf(err, PORT_ERR_MAX, "null: out of memory");
		return -ENOMEM;
	}
	n->port.ops = &port_null_ops;
	*out = &n->port;
	return 0;
}

static int null_start(struct port *p, const struct port_memory *mem)
{
	struct null_port *n = (struct null_port *)p;

	n->started = true;
	n->done = 0;
	return 0;
}

static void null_stop(struct port *p)
{
	((struct null_port *)p)->started = false;
}

static void null_close(struct port *p)
{
	free(p);
}

static unsigned int null_rx_burst(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	return 0;
}

static unsigned int null_rx_post(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	return n;
}

static unsigned int null_tx_burst(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct null_port *np = (struct null_port *)p;
	uint64_t frames = 0, bytes = 0;
	unsigned int i;

	if (!np->started)
		return 0;
	for (i = 0; i < n; i++) {
		bytes += segs[i].len;
		frames += !(segs[i].flags & P2P_SEG_MORE);
	}
	p2p_count(&p->stats.tx_frames, frames);
	p2p_count(&p->stats.tx_bytes, bytes);
	np->done += n;
	return n;
}

static unsigned int null_tx_done(struct port *p)
{
	struct null_port *np = (struct null_port *)p;
	unsigned int n = np->done;

	np->done = 0;
	return n;
}

static void null_control(struct port *p, uint64_t now_ns)
{
}

static unsigned int null_fds(struct port *p, int *fds, unsigned int max, uint32_t *gen)
{
	*gen = 0;
	return 0;
}

static bool null_link_up(struct port *p)
{
	return ((struct null_port *)p)->started;
}

const struct port_ops port_null_ops = {
	.scheme = "null",
	.help = "null: drops what is sent, receives nothing",
	.open = null_open,
	.start = null_start,
	.stop = null_stop,
	.close = null_close,
	.rx_burst = null_rx_burst,
	.rx_post = null_rx_post,
	.tx_burst = null_tx_burst,
	.tx_done = null_tx_done,
	.control = null_control,
	.fds = null_fds,
	.link_up = null_link_up,
};
