/* SPDX-License-Identifier: BSD-3-Clause */
/* What a configuration must be. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

int fab_fail(char err[FAB_ERR_MAX], int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, FAB_ERR_MAX, fmt, ap);
	va_end(ap);
	return error;
}

static bool power_of_two(uint32_t v, uint32_t min, uint32_t max)
{
	return v >= min && v <= max && (v & (v - 1)) == 0;
}

/* Neither negative nor NaN nor infinite. */
static bool rate_ok(double v)
{
	return v >= 0 && v < 1e18;
}

static int check_credits(const char *name, const char *end, const struct fab_credits *c, uint32_t mps,
			 char err[FAB_ERR_MAX])
{
	static const char *const class_name[] = { "posted", "non-posted", "completion" };

	for (int k = 0; k < FAB_NUM_CLASSES; k++) {
		if (c->hdr[k] > FAB_CREDIT_HDRS)
			return fab_fail(err, -EINVAL,
					"%s: %u %s header credits at the link's %s end: at most %u, or 0 for no limit",
					name, c->hdr[k], class_name[k], end, FAB_CREDIT_HDRS);
		if (c->data_bytes[k] > FAB_CREDIT_BYTES)
			return fab_fail(
				err, -EINVAL,
				"%s: %u bytes of %s credits at the link's %s end: at most %u, or 0 for no limit", name,
				c->data_bytes[k], class_name[k], end, FAB_CREDIT_BYTES);
		if (k != FAB_NONPOSTED && c->data_bytes[k] && c->data_bytes[k] < mps)
			return fab_fail(
				err, -EINVAL,
				"%s: %u bytes of %s credits at the link's %s end: less than one TLP of %u bytes", name,
				c->data_bytes[k], class_name[k], end, mps);
	}
	return 0;
}

int fab_check_link(const char *name, const struct fab_link_cfg *c, char err[FAB_ERR_MAX])
{
	int r;

	if (c->gen > 6)
		return fab_fail(err, -EINVAL, "%s: a link of Gen%u: 1 to 6, or 0 for no limit", name, c->gen);
	if (c->gen && !power_of_two(c->width, 1, 16))
		return fab_fail(err, -EINVAL, "%s: a link of x%u: x1, x2, x4, x8 or x16", name, c->width);
	if (!power_of_two(c->mps, 128, 4096))
		return fab_fail(err, -EINVAL, "%s: MPS of %u bytes: a power of two from 128 to 4096", name, c->mps);
	if (c->dllp != FAB_DLLP_SPEC && c->dllp != FAB_DLLP_SHARE)
		return fab_fail(err, -EINVAL, "%s: an unknown way to count DLLPs", name);
	if (c->dllp == FAB_DLLP_SHARE && !(c->dllp_share >= 0 && c->dllp_share <= 0.9))
		return fab_fail(err, -EINVAL, "%s: DLLPs take a share of %g: 0 to 0.9", name, c->dllp_share);
	if (!(c->bit_error_rate >= 0 && c->bit_error_rate <= FAB_BER_MAX))
		return fab_fail(err, -EINVAL, "%s: %g of its bits are wrong: 0 to %g", name, c->bit_error_rate,
				FAB_BER_MAX);
	if (c->prop_ps > FAB_PS_PER_S)
		return fab_fail(err, -EINVAL, "%s: a link that is longer than a second", name);
	r = check_credits(name, "lower", &c->down, c->mps, err);
	return r ? r : check_credits(name, "upper", &c->up, c->mps, err);
}

int fab_check_loss(const char *name, const struct fab_loss *l, char err[FAB_ERR_MAX])
{
	for (int k = 0; k < FAB_NUM_TYPES; k++)
		if (l->ppm[k] > 1000000)
			return fab_fail(err, -EINVAL, "%s: loses %u of a million TLPs", name, l->ppm[k]);
	return 0;
}

static int check_range(const char *name, uint64_t base, uint64_t bytes, char err[FAB_ERR_MAX])
{
	if (bytes % FAB_PAGE_BYTES || (bytes && base % FAB_PAGE_BYTES))
		return fab_fail(err, -EINVAL,
				"%s: addresses from 0x%" PRIx64 ", 0x%" PRIx64 " bytes: not whole pages of 4 KiB", name,
				base, bytes);
	if (bytes && base + (bytes - 1) < base)
		return fab_fail(err, -EINVAL, "%s: addresses from 0x%" PRIx64 ", 0x%" PRIx64 " bytes: beyond 64 bits",
				name, base, bytes);
	return 0;
}

int fab_check_root(const char *name, const struct fab_root_cfg *c, char err[FAB_ERR_MAX])
{
	int r;

	if (c->rcb != 64 && c->rcb != 128)
		return fab_fail(err, -EINVAL, "%s: RCB of %u bytes: 64 or 128", name, c->rcb);
	if (!rate_ok(c->p2p_bytes_per_s))
		return fab_fail(err, -EINVAL, "%s: forwards %g bytes/s between its ports", name, c->p2p_bytes_per_s);
	if (c->latency_ps > FAB_PS_PER_S || c->p2p_latency_ps > FAB_PS_PER_S)
		return fab_fail(err, -EINVAL, "%s: a latency of more than a second", name);
	if (c->mem_bytes && !c->mem.channels)
		return fab_fail(err, -EINVAL, "%s: main memory without a channel", name);
	if (c->mem_bytes && !rate_ok(c->mem.channel_bytes_per_s))
		return fab_fail(err, -EINVAL, "%s: a memory channel of %g bytes/s", name, c->mem.channel_bytes_per_s);
	if (c->mem_bytes && !(c->mem.ddio_evict >= 0 && c->mem.ddio_evict <= 1))
		return fab_fail(err, -EINVAL, "%s: a share of %g evicted from the cache: 0 to 1", name,
				c->mem.ddio_evict);
	r = check_range(name, c->mem_base, c->mem_bytes, err);
	return r ? r : fab_check_loss(name, &c->loss, err);
}

int fab_check_endpoint(const char *name, const struct fab_ep_cfg *c, char err[FAB_ERR_MAX])
{
	if (c->tags < 1 || c->tags > FAB_ROOT_TAGS)
		return fab_fail(err, -EINVAL, "%s: %u tags: 1 to %u", name, c->tags, FAB_ROOT_TAGS);
	if (!power_of_two(c->mrrs, 128, 4096))
		return fab_fail(err, -EINVAL, "%s: MRRS of %u bytes: a power of two from 128 to 4096", name, c->mrrs);
	if (c->rcb != 64 && c->rcb != 128)
		return fab_fail(err, -EINVAL, "%s: RCB of %u bytes: 64 or 128", name, c->rcb);
	if (!rate_ok(c->read_bytes_per_s) || !rate_ok(c->write_bytes_per_s))
		return fab_fail(err, -EINVAL, "%s: takes writes at %g and reads at %g bytes/s", name,
				c->write_bytes_per_s, c->read_bytes_per_s);
	if (c->latency_ps > FAB_PS_PER_S || c->read_latency_ps > FAB_PS_PER_S || c->read_gap_ps > FAB_PS_PER_S ||
	    c->write_gap_ps > FAB_PS_PER_S)
		return fab_fail(err, -EINVAL, "%s: a latency or gap of more than a second", name);
	return check_range(name, c->base, c->bytes, err);
}

int fab_check_lanes(const struct fabric *f, char err[FAB_ERR_MAX])
{
	for (unsigned int k = 0; k < f->num_nodes; k++) {
		const struct fab_node *n = f->node[k];
		uint32_t budget = n->kind == FAB_KIND_SWITCH ? n->sw.lanes
				  : n->kind == FAB_KIND_ROOT ? n->root.lanes
							     : 0;
		uint32_t lanes = n->parent && n->link.gen ? n->link.width : 0;

		for (unsigned int i = 0; i < f->num_nodes; i++)
			if (f->node[i]->parent == n && f->node[i]->link.gen)
				lanes += f->node[i]->link.width;
		if (budget && lanes > budget)
			return fab_fail(err, -EINVAL, "%s: its ports take %u lanes, and it has %u", n->name, lanes,
					budget);
	}
	return 0;
}

int fab_check_ranges(const struct fabric *f, char err[FAB_ERR_MAX])
{
	for (unsigned int k = 1; k < f->num_ranges; k++) {
		const struct fab_range *a = &f->range[k - 1], *b = &f->range[k];

		if (b->base - a->base < a->bytes)
			return fab_fail(err, -EINVAL, "%s: claims addresses from 0x%" PRIx64 ", which %s has too",
					b->node->name, b->base, a->node->name);
	}
	return 0;
}
