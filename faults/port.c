/* SPDX-License-Identifier: BSD-3-Clause */
#include "port.h"

#include <errno.h>
#include <stdlib.h>

struct faulty {
	struct port_ops ops; /* first: p->ops */
	const struct port_ops *real;
	struct fault_set set;
	uint64_t now_ns, down_ns, slow_ns; /* until then */
};

static struct faulty *faulty_of(const struct port *p)
{
	return (struct faulty *)(uintptr_t)p->ops;
}

static void faulty_control(struct port *p, uint64_t now_ns)
{
	struct faulty *f = faulty_of(p);
	uint64_t ns;

	f->now_ns = now_ns;
	ns = fault_now(&f->set, FAULT_LINK, FAULT_ON_PORT);
	if (ns)
		f->down_ns = now_ns + ns;
	ns = fault_now(&f->set, FAULT_SLOW, FAULT_ON_PORT);
	if (ns)
		f->slow_ns = now_ns + ns;
	f->real->control(p, now_ns);
}

static bool faulty_link_up(struct port *p)
{
	struct faulty *f = faulty_of(p);

	return f->now_ns >= f->down_ns && f->real->link_up(p);
}

static unsigned int faulty_tx_burst(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct faulty *f = faulty_of(p);

	return f->now_ns >= f->slow_ns && f->now_ns >= f->down_ns ? f->real->tx_burst(p, segs, n) : 0;
}

/* What the far end sends meanwhile waits there. */
static unsigned int faulty_rx_burst(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	struct faulty *f = faulty_of(p);

	return f->now_ns >= f->down_ns ? f->real->rx_burst(p, segs, n) : 0;
}

static void faulty_close(struct port *p)
{
	struct faulty *f = faulty_of(p);

	p->ops = f->real;
	free(f);
	p->ops->close(p);
}

int fault_port(struct port *p, const struct fault_set *s, uint64_t who)
{
	struct faulty *f;

	if (!fault_has(s, FAULT_LINK) && !fault_has(s, FAULT_SLOW))
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->real = p->ops;
	f->ops = *p->ops;
	f->ops.control = faulty_control;
	f->ops.link_up = faulty_link_up;
	f->ops.tx_burst = faulty_tx_burst;
	f->ops.rx_burst = faulty_rx_burst;
	f->ops.close = faulty_close;
	f->set = *s;
	fault_set_seed(&f->set, who);
	p->ops = &f->ops;
	return 0;
}
