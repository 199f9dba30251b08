/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space.  len bytes of it are there; whoever may not read more gets 64.
 *
 * Source: PCI Express Base Specification 5.0: 7.5.1 header, 7.5.2 power management, 7.5.3 PCI Express capability, 7.7.8
 * ACS, 7.8.6 resizable BARs; names of offsets as in linux/pci_regs.h.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "internal.h"

#define EXT_BEGIN 0x100u
#define MAX_CAPS 48u	  /* traditional ones: 4 bytes each from 0x40 to 0xff */
#define MAX_EXT_CAPS 960u /* likewise to 0xfff */
#define EXP_BYTES (PCI_EXP_LNKSTA + 2u)

static unsigned int get16(const uint8_t *p)
{
	return p[0] | (unsigned int)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* A capability as it is met: `at` and how many bytes of it may be read. */
typedef void cap_fn(void *arg, bool ext, unsigned int id, unsigned int at, unsigned int left);

static void config_each_cap(const uint8_t *cfg, unsigned int len, cap_fn *fn, void *arg)
{
	unsigned int at, k, bridge;

	if (len < 64 || !(get16(cfg + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return;
	bridge = (cfg[PCI_HEADER_TYPE] & 0x7f) == PCI_HEADER_TYPE_CARDBUS;
	at = cfg[bridge ? PCI_CB_CAPABILITY_LIST : PCI_CAPABILITY_LIST] & ~3u;
	for (k = 0; k < MAX_CAPS && at >= 0x40 && at + 4 <= len && at < EXT_BEGIN; k++) {
		fn(arg, false, cfg[at], at, (len < EXT_BEGIN ? len : EXT_BEGIN) - at);
		at = cfg[at + 1] & ~3u;
	}
	at = EXT_BEGIN;
	for (k = 0; k < MAX_EXT_CAPS && at >= EXT_BEGIN && at + 4 <= len; k++) {
		uint32_t head = get32(cfg + at);

		if (head == 0 || head == UINT32_MAX)
			break;
		fn(arg, true, head & 0xffff, at, len - at);
		at = head >> 20 & ~3u;
	}
}

struct parse {
	struct doc_dev *d;
	const uint8_t *cfg;
	bool exp, rebar;
};

static void parse_exp(struct doc_dev *d, const uint8_t *c, unsigned int left)
{
	unsigned int flags = get16(c + PCI_EXP_FLAGS), ctl, sta;
	uint32_t cap;

	if (left < PCI_EXP_DEVCTL + 2)
		return;
	d->pcie_type = (int)((flags & PCI_EXP_FLAGS_TYPE) >> 4);
	ctl = get16(c + PCI_EXP_DEVCTL);
	d->mps_max = 128u << (get32(c + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_PAYLOAD);
	d->mps = 128u << ((ctl & PCI_EXP_DEVCTL_PAYLOAD) >> 5);
	d->mrrs = 128u << ((ctl & PCI_EXP_DEVCTL_READRQ) >> 12);
	d->relaxed = ctl & PCI_EXP_DEVCTL_RELAX_EN;
	if (left < PCI_EXP_LNKSTA + 2 || d->pcie_type == PCI_EXP_TYPE_RC_END || d->pcie_type == PCI_EXP_TYPE_RC_EC)
		return;
	cap = get32(c + PCI_EXP_LNKCAP);
	sta = get16(c + PCI_EXP_LNKSTA);
	d->port = cap >> 24;
	d->max.gen = cap & PCI_EXP_LNKCAP_SLS;
	d->max.width = (cap & PCI_EXP_LNKCAP_MLW) >> 4;
	d->now.gen = sta & PCI_EXP_LNKSTA_CLS;
	d->now.width = (sta & PCI_EXP_LNKSTA_NLW) >> PCI_EXP_LNKSTA_NLW_SHIFT;
}

static void parse_acs(struct doc_dev *d, const uint8_t *c, unsigned int left)
{
	unsigned int cap, k, words;

	if (left < PCI_ACS_CTRL + 2) {
		d->acs_known = false;
		return;
	}
	cap = get16(c + PCI_ACS_CAP);
	d->acs = true;
	d->acs_ctrl = get16(c + PCI_ACS_CTRL) & 0x7f;
	if (!(cap & PCI_ACS_EC))
		return;
	d->egress_bits = cap >> 8 ? cap >> 8 : 256;
	words = (d->egress_bits + 31) / 32;
	for (k = 0; k < words; k++) {
		if (left < PCI_ACS_EGRESS_CTL_V + 4 * (k + 1)) {
			d->egress_bits = 32 * k;
			break;
		}
		d->egress[k] = get32(c + PCI_ACS_EGRESS_CTL_V + 4 * k);
	}
}

static void parse_rebar(struct doc_dev *d, const uint8_t *c, unsigned int left)
{
	unsigned int k, n = 1, bar;

	for (k = 0; k < n && left >= 4 + 8 * (k + 1); k++) {
		uint32_t cap = get32(c + 4 + 8 * k), ctl = get32(c + 8 + 8 * k);

		if (k == 0)
			n = (ctl & PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT;
		bar = ctl & PCI_REBAR_CTRL_BAR_IDX;
		/* Sizes from 1 MiB are in the capability word from bit 4, those from 256 TiB in the control word. */
		if (bar < DOC_NUM_BARS)
			d->bar[bar].can = (cap >> 4) | (uint64_t)(ctl >> 16) << 28;
	}
}

static void parse_cap(void *arg, bool ext, unsigned int id, unsigned int at, unsigned int left)
{
	struct parse *p = arg;
	const uint8_t *c = p->cfg + at;

	if (!ext && id == PCI_CAP_ID_PM && left >= PCI_PM_CTRL + 2)
		p->d->power = get16(c + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK;
	if (!ext && id == PCI_CAP_ID_EXP && !p->exp) {
		p->exp = true;
		parse_exp(p->d, c, left);
	}
	if (ext && id == PCI_EXT_CAP_ID_ACS && !p->d->acs)
		parse_acs(p->d, c, left);
	if (ext && id == PCI_EXT_CAP_ID_REBAR)
		parse_rebar(p->d, c, left);
}

static bool all_ones(const uint8_t *cfg, unsigned int len)
{
	unsigned int k;

	for (k = 0; k < len && cfg[k] == 0xff; k++)
		;
	return k == len;
}

static int parse_header(struct doc_dev *d, const uint8_t *cfg, char err[DOC_ERR_MAX])
{
	unsigned int type = cfg[PCI_HEADER_TYPE] & 0x7f;

	if (get16(cfg + PCI_VENDOR_ID) != d->vendor || get16(cfg + PCI_DEVICE_ID) != d->device) {
		/* Virtual functions have all ones there: the specification says so (9.3.4.1.1). */
		if (get16(cfg + PCI_VENDOR_ID) != 0xffff || get16(cfg + PCI_DEVICE_ID) != 0xffff) {
			snprintf(err, DOC_ERR_MAX,
				 "%s: config says %04x:%04x, vendor and device %04x:%04x: the tree contradicts itself",
				 d->name, get16(cfg + PCI_VENDOR_ID), get16(cfg + PCI_DEVICE_ID), d->vendor, d->device);
			return -EINVAL;
		}
	}
	if (type == PCI_HEADER_TYPE_BRIDGE) {
		d->kind = DOC_BRIDGE;
		d->secondary = cfg[PCI_SECONDARY_BUS];
		d->subordinate = cfg[PCI_SUBORDINATE_BUS];
		if (d->secondary && (d->secondary <= d->bus || d->subordinate < d->secondary)) {
			snprintf(err, DOC_ERR_MAX,
				 "%s: config says that buses %02x to %02x are below bus %02x: the tree contradicts "
				 "itself",
				 d->name, d->secondary, d->subordinate, d->bus);
			return -EINVAL;
		}
	}
	return 0;
}

int doc_config_parse(struct doc_dev *d, const uint8_t *cfg, unsigned int len, char err[DOC_ERR_MAX])
{
	struct parse p = {.d = d, .cfg = cfg};
	int rc;

	d->config_bytes = len;
	d->pcie_type = -1;
	if (len < PCI_STD_HEADER_SIZEOF) {
		snprintf(err, DOC_ERR_MAX, "%s: config holds %u bytes, a header has 64: the tree is truncated", d->name,
			 len);
		return -EINVAL;
	}
	d->gone = all_ones(cfg, len);
	if (d->gone)
		return 0;
	rc = parse_header(d, cfg, err);
	if (rc)
		return rc;
	/* 256 bytes of a PCI Express function: no extended capability can be ruled out. */
	d->acs_known = len >= DOC_CONFIG_MAX;
	config_each_cap(cfg, len, parse_cap, &p);
	d->pcie_known =
		p.exp ? d->pcie_type >= 0 : len >= EXT_BEGIN || !(get16(cfg + PCI_STATUS) & PCI_STATUS_CAP_LIST);
	if (d->acs || (d->pcie_known && d->pcie_type < 0))
		d->acs_known = true;
	return 0;
}

struct strip {
	uint8_t *to;
	const uint8_t *cfg;
};

static unsigned int acs_bytes(const uint8_t *c, unsigned int left)
{
	unsigned int cap = left >= PCI_ACS_CTRL ? get16(c + PCI_ACS_CAP) : 0, bits = cap >> 8 ? cap >> 8 : 256;

	return PCI_ACS_EGRESS_CTL_V + (cap & PCI_ACS_EC ? (bits + 31) / 32 * 4 : 0);
}

/* To the byte: what follows may be a serial number. */
static void strip_cap(void *arg, bool ext, unsigned int id, unsigned int at, unsigned int left)
{
	struct strip *s = arg;
	const uint8_t *c = s->cfg + at;
	unsigned int keep = ext ? 4 : 2;

	if (!ext && id == PCI_CAP_ID_PM)
		keep = PCI_PM_CTRL + 2;
	if (!ext && id == PCI_CAP_ID_EXP)
		keep = EXP_BYTES;
	if (ext && id == PCI_EXT_CAP_ID_ACS)
		keep = acs_bytes(c, left);
	if (ext && id == PCI_EXT_CAP_ID_REBAR && left >= 12)
		keep = 4 + 8 * ((get32(c + 8) & PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT);
	memcpy(s->to + at, c, keep < left ? keep : left);
}

void doc_config_strip(uint8_t *to, const uint8_t *cfg, unsigned int len)
{
	struct strip s = {.to = to, .cfg = cfg};

	memset(to, all_ones(cfg, len) ? 0xff : 0, len);
	memcpy(to, cfg, len < PCI_STD_HEADER_SIZEOF ? len : PCI_STD_HEADER_SIZEOF);
	config_each_cap(cfg, len, strip_cap, &s);
}
