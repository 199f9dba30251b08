/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "pci_config.h"

#define PM_CAP 0x40
#define MSIX_CAP 0x50
#define EXP_CAP 0x60

/* x8 at 8 GT/s: a port that a real SmartNIC of this kind has. */
#define LINK_SPEED PCI_EXP_LNKCAP_SLS_8_0GB
#define LINK_WIDTH 8u

#define VECTOR_BYTES sizeof(struct pci_config_vector)

static uint16_t get16(const struct pci_config *pc, unsigned int off)
{
	return (uint16_t)(pc->space[off] | pc->space[off + 1] << 8);
}

static uint32_t get32(const struct pci_config *pc, unsigned int off)
{
	return get16(pc, off) | (uint32_t)get16(pc, off + 2) << 16;
}

static void put(uint8_t *to, uint32_t v, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

static bool is_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

static uint64_t bar4_bytes(const struct pci_config_params *par)
{
	uint64_t half = 4096;

	while (half < par->vectors * VECTOR_BYTES)
		half *= 2;
	return half * 2;
}

uint64_t pci_config_bar_bytes(const struct pci_config *pc, unsigned int bar)
{
	switch (bar) {
	case PCI_CONFIG_BAR0:
		return pc->par.bar0_bytes;
	case PCI_CONFIG_BAR2:
		return pc->par.bar2_bytes;
	case PCI_CONFIG_BAR4:
		return bar4_bytes(&pc->par);
	default:
		return 0;
	}
}

struct field {
	uint16_t off;
	uint8_t size;
	uint32_t value;
	uint32_t writable;
	uint32_t clearable;
};

#define EXP(reg) (EXP_CAP + PCI_EXP_##reg)

/* Registers whose contents depend on nothing.  What is not named reads 0 and takes no writes. */
static const struct field fields[] = {
	{ PCI_COMMAND, 2, 0,
	  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE,
	  0 },
	{ PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0,
	  PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
		  PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY },
	{ PCI_CLASS_DEVICE, 2, 0x0200, 0, 0 }, /* network, Ethernet */
	{ PCI_CACHE_LINE_SIZE, 1, 0, 0xff, 0 },
	{ PCI_CAPABILITY_LIST, 1, PM_CAP, 0, 0 },
	{ PCI_INTERRUPT_LINE, 1, 0, 0xff, 0 },

	{ PM_CAP + PCI_CAP_LIST_ID, 1, PCI_CAP_ID_PM, 0, 0 },
	{ PM_CAP + PCI_CAP_LIST_NEXT, 1, MSIX_CAP, 0, 0 },
	{ PM_CAP + PCI_PM_PMC, 2, 3, 0, 0 }, /* version 3; neither D1 nor D2, no PME */
	{ PM_CAP + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET, PCI_PM_CTRL_STATE_MASK, 0 },

	{ MSIX_CAP + PCI_CAP_LIST_ID, 1, PCI_CAP_ID_MSIX, 0, 0 },
	{ MSIX_CAP + PCI_CAP_LIST_NEXT, 1, EXP_CAP, 0, 0 },
	{ MSIX_CAP + PCI_MSIX_TABLE, 4, PCI_CONFIG_BAR4, 0, 0 },

	{ EXP_CAP + PCI_CAP_LIST_ID, 1, PCI_CAP_ID_EXP, 0, 0 },
	{ EXP(FLAGS), 2, 2 | PCI_EXP_TYPE_ENDPOINT << 4, 0, 0 },
	{ EXP(DEVCAP), 4, 1 /* MPS 256 */ | PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR, 0, 0 },
	/* MRRS 512, no snoop; relaxed ordering is off until asked for: rings need their writes in order. */
	{ EXP(DEVCTL), 2, 0x2000 | PCI_EXP_DEVCTL_NOSNOOP_EN,
	  PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE |
		  PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_NOSNOOP_EN |
		  PCI_EXP_DEVCTL_READRQ,
	  0 },
	{ EXP(DEVSTA), 2, 0, 0, PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD },
	{ EXP(LNKCAP), 4, LINK_SPEED | LINK_WIDTH << 4, 0, 0 },
	{ EXP(LNKCTL), 2, 0, PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES, 0 },
	{ EXP(LNKSTA), 2, LINK_SPEED | LINK_WIDTH << PCI_EXP_LNKSTA_NLW_SHIFT | PCI_EXP_LNKSTA_SLC, 0, 0 },
	{ EXP(DEVCAP2), 4, 0, 0, 0 },
	{ EXP(DEVCTL2), 2, 0, PCI_EXP_DEVCTL2_COMP_TMOUT_DIS, 0 },
	{ EXP(LNKCAP2), 4, PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB | PCI_EXP_LNKCAP2_SLS_8_0GB, 0, 0 },
	{ EXP(LNKCTL2), 2, LINK_SPEED, PCI_EXP_LNKCTL2_TLS, 0 },
};

/* What a function level reset must not touch (PCI Express 4.0, 6.6.2). */
static const struct field kept[] = {
	{ EXP(DEVCTL), 2, 0, PCI_EXP_DEVCTL_PAYLOAD, 0 },
	{ EXP(LNKCTL), 2, 0, 0xffff, 0 },
	{ EXP(LNKCTL2), 2, 0, 0xffff, 0 },
};

static void set_field(struct pci_config *pc, const struct field *f)
{
	put(pc->space + f->off, f->value, f->size);
	put(pc->writable + f->off, f->writable, f->size);
	put(pc->clearable + f->off, f->clearable, f->size);
}

/* Sizing follows from the bits that take no writes. */
static void set_bar(struct pci_config *pc, unsigned int bar, uint32_t flags)
{
	uint64_t mask = ~(pci_config_bar_bytes(pc, bar) - 1);
	uint16_t off = (uint16_t)(PCI_BASE_ADDRESS_0 + 4 * bar);

	set_field(pc, &(struct field){ off, 4, flags, (uint32_t)mask, 0 });
	if (flags & PCI_BASE_ADDRESS_MEM_TYPE_64)
		set_field(pc, &(struct field){ (uint16_t)(off + 4), 4, 0, (uint32_t)(mask >> 32), 0 });
}

static void set_all(struct pci_config *pc)
{
	const struct pci_config_params *par = &pc->par;
	const struct field own[] = {
		{ PCI_VENDOR_ID, 2, par->vendor_id, 0, 0 },
		{ PCI_DEVICE_ID, 2, par->device_id, 0, 0 },
		{ PCI_REVISION_ID, 1, par->revision, 0, 0 },
		{ PCI_SUBSYSTEM_VENDOR_ID, 2, par->subsystem_vendor_id, 0, 0 },
		{ PCI_SUBSYSTEM_ID, 2, par->subsystem_id, 0, 0 },
		{ MSIX_CAP + PCI_MSIX_FLAGS, 2, par->vectors - 1u, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 0 },
		{ MSIX_CAP + PCI_MSIX_PBA, 4, (uint32_t)(bar4_bytes(par) / 2) | PCI_CONFIG_BAR4, 0, 0 },
	};

	memset(pc->space, 0, sizeof(pc->space));
	memset(pc->writable, 0, sizeof(pc->writable));
	memset(pc->clearable, 0, sizeof(pc->clearable));
	for (size_t i = 0; i < P2P_ARRAY_SIZE(fields); i++)
		set_field(pc, &fields[i]);
	for (size_t i = 0; i < P2P_ARRAY_SIZE(own); i++)
		set_field(pc, &own[i]);
	set_bar(pc, PCI_CONFIG_BAR0, PCI_BASE_ADDRESS_MEM_TYPE_32);
	set_bar(pc, PCI_CONFIG_BAR2, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	set_bar(pc, PCI_CONFIG_BAR4, PCI_BASE_ADDRESS_MEM_TYPE_32);
	for (unsigned int v = 0; v < par->vectors; v++)
		pc->table[v] = (struct pci_config_vector){ .control = to_le32(PCI_MSIX_ENTRY_CTRL_MASKBIT) };
	memset(pc->pending, 0, P2P_ALIGN_UP(par->vectors, 64u) / 8);
}

int pci_config_init(struct pci_config *pc, const struct pci_config_params *par)
{
	memset(pc, 0, sizeof(*pc));
	if (!par->vectors || par->vectors > PCI_CONFIG_MAX_VECTORS || !is_power_of_two(par->bar0_bytes) ||
	    par->bar0_bytes < 4096 || par->bar0_bytes >= 1ull << 31 || !is_power_of_two(par->bar2_bytes) ||
	    par->bar2_bytes < 4096)
		return -EINVAL;
	pc->par = *par;
	pc->table = calloc(par->vectors, sizeof(*pc->table));
	pc->pending = calloc(P2P_ALIGN_UP(par->vectors, 64u) / 64, sizeof(*pc->pending));
	if (!pc->table || !pc->pending) {
		pci_config_free(pc);
		return -ENOMEM;
	}
	set_all(pc);
	return 0;
}

void pci_config_free(struct pci_config *pc)
{
	free(pc->table);
	free(pc->pending);
	pc->table = NULL;
	pc->pending = NULL;
}

void pci_config_reset(struct pci_config *pc)
{
	uint32_t old[P2P_ARRAY_SIZE(kept)];

	for (size_t i = 0; i < P2P_ARRAY_SIZE(kept); i++)
		old[i] = get16(pc, kept[i].off) & kept[i].writable;
	set_all(pc);
	for (size_t i = 0; i < P2P_ARRAY_SIZE(kept); i++)
		put(pc->space + kept[i].off, (get16(pc, kept[i].off) & ~kept[i].writable) | old[i], 2);
}

int64_t pci_config_read(struct pci_config *pc, uint64_t off, void *buf, size_t len)
{
	if (off > PCI_CONFIG_BYTES || len > PCI_CONFIG_BYTES - off)
		return -EINVAL;
	memcpy(buf, pc->space + off, len);
	return (int64_t)len;
}

static bool in_d0(const struct pci_config *pc)
{
	return !(get16(pc, PM_CAP + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK);
}

bool pci_config_bus_master(const struct pci_config *pc)
{
	return in_d0(pc) && get16(pc, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

bool pci_config_mem_enabled(const struct pci_config *pc)
{
	return in_d0(pc) && get16(pc, PCI_COMMAND) & PCI_COMMAND_MEMORY;
}

bool pci_config_intx_disabled(const struct pci_config *pc)
{
	return get16(pc, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
}

uint64_t pci_config_bar_address(const struct pci_config *pc, unsigned int bar)
{
	uint64_t at;

	if (!pci_config_bar_bytes(pc, bar))
		return 0;
	at = get32(pc, PCI_BASE_ADDRESS_0 + 4 * bar);
	if (at & PCI_BASE_ADDRESS_MEM_TYPE_64)
		at |= (uint64_t)get32(pc, PCI_BASE_ADDRESS_0 + 4 * bar + 4) << 32;
	return at & ~(uint64_t)0xf;
}

static bool msix_enabled(const struct pci_config *pc)
{
	return get16(pc, MSIX_CAP + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE;
}

static bool masked(const struct pci_config *pc, unsigned int v)
{
	return get16(pc, MSIX_CAP + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_MASKALL ||
	       from_le32(pc->table[v].control) & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static void set_pending(struct pci_config *pc, unsigned int v, bool on)
{
	uint64_t word = from_le64(pc->pending[v / 64]), bit = 1ull << (v % 64);

	pc->pending[v / 64] = to_le64(on ? word | bit : word & ~bit);
}

static bool is_pending(const struct pci_config *pc, unsigned int v)
{
	return from_le64(pc->pending[v / 64]) & (1ull << (v % 64));
}

/* Masks have changed: what is pending and free to go, goes. */
static void unpend(struct pci_config *pc)
{
	if (!msix_enabled(pc))
		return;
	for (unsigned int v = 0; v < pc->par.vectors; v++) {
		if (!is_pending(pc, v) || masked(pc, v))
			continue;
		set_pending(pc, v, false);
		if (pc->par.msix_unpend)
			pc->par.msix_unpend(pc->par.opaque, v);
	}
}

static void write_bytes(struct pci_config *pc, uint64_t off, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t *b = &pc->space[off + i], w = pc->writable[off + i], c = pc->clearable[off + i];

		*b = (uint8_t)((*b & ~w) | (from[i] & w));
		*b &= (uint8_t)~(from[i] & c);
	}
}

/* Did this write put a 1 into that bit? */
static bool strikes(uint64_t off, const uint8_t *from, size_t len, uint64_t byte, uint8_t bit)
{
	return byte >= off && byte - off < len && from[byte - off] & bit;
}

int64_t pci_config_write(struct pci_config *pc, uint64_t off, const void *buf, size_t len)
{
	bool master, memory, resets;
	uint16_t pm;

	if (off > PCI_CONFIG_BYTES || len > PCI_CONFIG_BYTES - off)
		return -EINVAL;
	master = pci_config_bus_master(pc);
	memory = pci_config_mem_enabled(pc);
	pm = get16(pc, PM_CAP + PCI_PM_CTRL);
	write_bytes(pc, off, buf, len);
	/* D1 and D2 do not exist here: a write of them changes nothing. */
	switch (get16(pc, PM_CAP + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK) {
	case 1:
	case 2:
		put(pc->space + PM_CAP + PCI_PM_CTRL, pm, 2);
	}
	resets = strikes(off, buf, len, EXP(DEVCTL) + 1, PCI_EXP_DEVCTL_BCR_FLR >> 8);
	if (resets && pc->par.flr) {
		pc->par.flr(pc->par.opaque);
		return (int64_t)len;
	}
	if (resets)
		pci_config_reset(pc);
	if (pc->par.access_changed && (master != pci_config_bus_master(pc) || memory != pci_config_mem_enabled(pc)))
		pc->par.access_changed(pc->par.opaque);
	unpend(pc);
	return (int64_t)len;
}

int64_t pci_config_msix_read(struct pci_config *pc, uint64_t off, void *buf, size_t len)
{
	uint64_t size = bar4_bytes(&pc->par), pba = size / 2;
	size_t table_bytes = pc->par.vectors * VECTOR_BYTES, pba_bytes = P2P_ALIGN_UP(pc->par.vectors, 64u) / 8;
	uint8_t *to = buf;

	if (off > size || len > size - off)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		uint64_t at = off + i;

		if (at < table_bytes)
			to[i] = ((const uint8_t *)pc->table)[at];
		else if (at >= pba && at - pba < pba_bytes)
			to[i] = ((const uint8_t *)pc->pending)[at - pba];
		else
			to[i] = 0;
	}
	return (int64_t)len;
}

int64_t pci_config_msix_write(struct pci_config *pc, uint64_t off, const void *buf, size_t len)
{
	static const uint8_t writable[VECTOR_BYTES] = { 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
							0xff, 0xff, 0xff, 0xff, PCI_MSIX_ENTRY_CTRL_MASKBIT };
	uint64_t size = bar4_bytes(&pc->par);
	const uint8_t *from = buf;

	if (off > size || len > size - off)
		return -EINVAL;
	for (size_t i = 0; i < len && off + i < pc->par.vectors * VECTOR_BYTES; i++) {
		uint8_t *b = (uint8_t *)pc->table + off + i, w = writable[(off + i) % VECTOR_BYTES];

		*b = (uint8_t)((*b & ~w) | (from[i] & w));
	}
	unpend(pc);
	return (int64_t)len;
}

bool pci_config_msix_fire(struct pci_config *pc, unsigned int vector)
{
	if (vector >= pc->par.vectors || !msix_enabled(pc))
		return false;
	if (!masked(pc, vector))
		return true;
	set_pending(pc, vector, true);
	return false;
}

int pci_config_msix_mask(struct pci_config *pc, unsigned int vector, bool on)
{
	uint32_t control;

	if (vector >= pc->par.vectors)
		return -EINVAL;
	control = from_le32(pc->table[vector].control) & ~PCI_MSIX_ENTRY_CTRL_MASKBIT;
	pc->table[vector].control = to_le32(control | (on ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0));
	unpend(pc);
	return 0;
}

int pci_config_msix_attach(struct pci_config *pc, unsigned int vector, bool attached)
{
	unsigned int flags = MSIX_CAP + PCI_MSIX_FLAGS;

	if (vector >= pc->par.vectors)
		return -EINVAL;
	if (attached)
		put(pc->space + flags, get16(pc, flags) | PCI_MSIX_FLAGS_ENABLE, 2);
	else
		set_pending(pc, vector, false);
	return pci_config_msix_mask(pc, vector, !attached);
}
