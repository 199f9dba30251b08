/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where switches and devices send requests that one device below them makes of another.
 *
 * A request turns round at the bridge under which the two meet.  What the downstream ports there are told decides;
 * those further down send upwards anyway.  P2P request redirect (RR) sends it to the root complex, completion redirect
 * (CR) what answers a read, egress control (EC) sends it up too if RR is on, and blocks it else, if the vector has the
 * bit of the port it would go to.
 *
 * Source: PCI Express Base Specification 5.0, 6.12.1.1, 6.12.2, 6.12.3; 7.7.8.
 */
#include "internal.h"

bool doc_dev_downstream(const struct doc_dev *d)
{
	return d->pcie_type == 4 || d->pcie_type == 6; /* root port, downstream port of a switch */
}

int doc_below(const struct doc_box *box, int meet, unsigned int d)
{
	int k = (int)d;

	while (box->dev[k].parent >= 0 && box->dev[k].parent != meet)
		k = box->dev[k].parent;
	return k;
}

static bool egress_blocks(const struct doc_dev *from, const struct doc_dev *to)
{
	if (!(from->acs_ctrl & DOC_ACS_EC) || to->port >= 256)
		return false;
	/* A vector that wasn't read, or ends before the port: it may be set. */
	if (to->port >= from->egress_bits)
		return true;
	return from->egress[to->port / 32] >> (to->port % 32) & 1;
}

/*
 * Without the control word: Linux gives two devices groups of their own only if the ports between them redirect (as it
 * was at boot).  With no group at all nobody has turned redirection on, but firmware may have: the safe guess is that
 * it is.
 */
static void guess(struct doc_acs_view *v, int port)
{
	v->known = false;
	if (v->unread < 0)
		v->unread = port;
	if (v->way == DOC_WAY_DIRECT)
		v->way = DOC_WAY_UP;
}

static void look_one(const struct doc_box *box, int from, int to, unsigned int side, struct doc_acs_view *v)
{
	const struct doc_dev *f = &box->dev[from], *t = &box->dev[to];

	if (!f->acs_known) {
		guess(v, from);
		return;
	}
	if (!f->acs)
		return;
	if (f->acs_ctrl & (DOC_ACS_RR | DOC_ACS_CR)) {
		v->port[side] = from;
		if (v->way == DOC_WAY_DIRECT)
			v->way = DOC_WAY_UP;
	}
	if (egress_blocks(f, t)) {
		v->port[side] = from;
		v->way = f->acs_ctrl & DOC_ACS_RR ? v->way : DOC_WAY_BLOCKED;
	}
}

void doc_acs_look(const struct doc_box *box, const struct doc_pair *p, struct doc_acs_view *v)
{
	int a = doc_below(box, p->meet, p->a), b = doc_below(box, p->meet, p->b);

	*v = (struct doc_acs_view){.way = DOC_WAY_DIRECT, .known = true, .port = {-1, -1}, .unread = -1};
	if (p->path == DOC_PATH_SAME_BUS)
		return;
	look_one(box, a, b, 0, v);
	look_one(box, b, a, 1, v);
}
