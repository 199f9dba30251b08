/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops of a former router's area: those that come to the same keep their numbers, so that nothing of them is written. */
#include <string.h>

#include "router/area_int.h"

enum former_form { FORMER_HOP, FORMER_MEMBER, FORMER_FIXED, FORMER_GROUP };

static uint32_t word_at(const struct area_nic *nic, uint32_t index)
{
	return from_le32(((const le32 *)(nic->base + from_le32(nic->head->hops_at)))[index]);
}

static const struct p2p_hop_entry *entry_at(const struct area_nic *nic, uint32_t number)
{
	return (const struct p2p_hop_entry *)(nic->base + from_le32(nic->head->entries_at)) + number;
}

static const le32 *bucket_at(const struct area_nic *nic, uint32_t number)
{
	return (const le32 *)(nic->base + from_le32(nic->head->buckets_at)) + number;
}

static const struct area_nic *former_nic(const struct area *a)
{
	unsigned int i;

	for (i = 0; i < a->nics; i++)
		if (a->nic[i].adopted && area_nic_written(&a->nic[i]))
			return &a->nic[i];
	return NULL;
}

static uint64_t entry_hash(enum former_form form, const struct p2p_hop_entry *e)
{
	uint64_t h = form, v[sizeof(*e) / 8];
	unsigned int i;

	memcpy(v, e, sizeof(v));
	for (i = 0; i < P2P_ARRAY_SIZE(v); i++)
		h = hash_mix(h, v[i]);
	return h;
}

/* Of a group: how many buckets, and their sum, whatever their order. */
static uint64_t other_hash(enum former_form form, uint64_t a, uint64_t b)
{
	return hash_mix(hash_mix(form, a), b);
}

static bool group_usable(const struct area *a, uint32_t word)
{
	const uint32_t first = P2P_HOP_NUMBER(word), log2 = P2P_HOP_LOG2(word);

	return log2 >= AREA_BUCKETS_LOG2_MIN && log2 <= AREA_BUCKETS_LOG2_MAX && first % (1u << AREA_BUCKETS_LOG2_MIN) == 0 &&
	       (uint64_t)first + (1u << log2) <= a->max_bucket;
}

/* Every area adopted has the same behind an index; where the former router died in between they may differ. */
static bool former_same(const struct area *a, const struct area_nic *one, uint32_t index, uint32_t word)
{
	const uint32_t n = P2P_HOP_NUMBER(word);
	const struct area_nic *nic;
	unsigned int i;

	for (i = 0; i < a->nics; i++) {
		nic = &a->nic[i];
		if (!nic->adopted || nic == one || !area_nic_written(nic))
			continue;
		if (word_at(nic, index) != word)
			return false;
		if (P2P_HOP_FORM(word) == P2P_HOP_ENTRY ? memcmp(entry_at(nic, n), entry_at(one, n), sizeof(struct p2p_hop_entry)) :
		    memcmp(bucket_at(nic, n), bucket_at(one, n), sizeof(le32) << P2P_HOP_LOG2(word)))
			return false;
	}
	return true;
}

/* What kind of next hop an index is; false: none that can be kept. */
static bool former_hash(const struct area *a, const struct area_nic *nic, uint32_t index, uint64_t *hash)
{
	const uint32_t word = word_at(nic, index), n = P2P_HOP_NUMBER(word);
	uint64_t sum = 0;
	uint32_t b;

	if (P2P_HOP_FORM(word) == P2P_HOP_ENTRY && n < p2p_route_entries(a->max_hops)) {
		*hash = n < P2P_HOP_FREE ? other_hash(FORMER_FIXED, n, 0) :
			entry_hash(a->taken[AREA_INDEX][index] & AREA_TAKEN_MEMBER ? FORMER_MEMBER : FORMER_HOP, entry_at(nic, n));
	} else if (P2P_HOP_FORM(word) == P2P_HOP_GROUP && group_usable(a, word)) {
		for (b = 0; b < 1u << P2P_HOP_LOG2(word); b++)
			sum += from_le32(bucket_at(nic, n)[b]);
		*hash = other_hash(FORMER_GROUP, P2P_HOP_LOG2(word), sum);
	} else {
		return false;
	}
	return former_same(a, nic, index, word);
}

static void members_mark(struct area *a, const struct area_nic *nic)
{
	uint32_t i, b, w, member;

	for (i = P2P_HOP_FREE; i < a->max_hops; i++) {
		w = word_at(nic, i);
		if (P2P_HOP_FORM(w) != P2P_HOP_GROUP || !group_usable(a, w))
			continue;
		for (b = 0; b < 1u << P2P_HOP_LOG2(w); b++) {
			member = from_le32(bucket_at(nic, P2P_HOP_NUMBER(w))[b]);
			if (member < a->max_hops)
				a->taken[AREA_INDEX][member] |= AREA_TAKEN_MEMBER;
		}
	}
}

void area_former_find(struct area *a)
{
	const struct area_nic *nic = former_nic(a);
	struct area_former *f;
	uint64_t hash;
	uint32_t i;

	if (!nic || !a->taken[AREA_INDEX])
		return;
	a->former_hop = calloc(a->max_hops, sizeof(*a->former_hop));
	if (!a->former_hop || hash_init(&a->formers))
		return; /* all get new numbers */
	members_mark(a, nic);
	for (i = a->max_hops; i-- > P2P_HOP_FREE;) {
		f = &a->former_hop[i];
		if (!(a->taken[AREA_INDEX][i] & AREA_TAKEN) || !former_hash(a, nic, i, &hash))
			continue;
		f->index = i;
		hash_add(&a->formers, &f->link, hash);
	}
}

void area_former_forget(struct area *a)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		free(a->taken[i]);
		a->taken[i] = NULL;
	}
	hash_free(&a->formers);
	free(a->former_hop);
	a->former_hop = NULL;
}

bool area_former_kept(const struct area *a, enum area_thing thing, uint32_t number)
{
	return a->taken[thing] && a->taken[thing][number] & AREA_TAKEN_KEPT;
}

static bool buckets_kept(const struct area *a, uint32_t first, unsigned int log2)
{
	uint32_t b;

	for (b = 0; b < 1u << log2; b++)
		if (area_former_kept(a, AREA_BUCKETS, first + b))
			return true;
	return false;
}

static void keep(struct area *a, enum area_thing thing, uint32_t number, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		a->taken[thing][number + i] |= AREA_TAKEN_KEPT;
	a->used_hops += thing == AREA_INDEX ? n : 0;
	a->used_buckets += thing == AREA_BUCKETS ? n : 0;
}

/* An area made anew beside adopted ones, for a NIC in another's place, gets what they have. */
static void keep_word(struct area *a, const struct area_nic *one, uint32_t index)
{
	const uint32_t word = word_at(one, index), n = P2P_HOP_NUMBER(word);
	const struct area_nic *nic;
	unsigned int i;

	keep(a, AREA_INDEX, index, 1);
	for (i = 0; i < a->nics; i++) {
		nic = &a->nic[i];
		if (nic->adopted || !area_nic_written(nic))
			continue;
		if (P2P_HOP_FORM(word) == P2P_HOP_GROUP)
			memcpy((void *)bucket_at(nic, n), bucket_at(one, n), sizeof(le32) << P2P_HOP_LOG2(word));
		else if (n >= P2P_HOP_FREE)
			memcpy((void *)entry_at(nic, n), entry_at(one, n), sizeof(struct p2p_hop_entry));
		le32_store_release((le32 *)(nic->base + from_le32(nic->head->hops_at)) + index, word);
	}
}

/* The next former hop of a hash that nobody has kept yet, from l on. */
static struct area_former *former_next(const struct area *a, struct hash_link *l, uint64_t hash)
{
	for (; l; l = l->next)
		if (l->hash == hash && !area_former_kept(a, AREA_INDEX, ((struct area_former *)l)->index))
			return (struct area_former *)l;
	return NULL;
}

#define former_first(a, hash) ((a)->formers.slot ? former_next(a, hash_first(&(a)->formers, hash), hash) : NULL)

bool area_keep_entry(struct area *a, bool member, const struct p2p_hop_entry *e, uint32_t *index, uint32_t *entry)
{
	const uint64_t hash = entry_hash(member ? FORMER_MEMBER : FORMER_HOP, e);
	const struct area_nic *nic = former_nic(a);
	struct area_former *f;
	uint32_t n;

	for (f = former_first(a, hash); f; f = former_next(a, f->link.next, hash)) {
		n = P2P_HOP_NUMBER(word_at(nic, f->index));
		if (P2P_HOP_FORM(word_at(nic, f->index)) != P2P_HOP_ENTRY || n < P2P_HOP_FREE || n >= p2p_route_entries(a->max_hops) ||
		    memcmp(entry_at(nic, n), e, sizeof(*e)) || area_former_kept(a, AREA_ENTRY, n))
			continue;
		keep(a, AREA_ENTRY, n, 1);
		keep_word(a, nic, f->index);
		*index = f->index;
		*entry = n;
		return true;
	}
	return false;
}

bool area_keep_fixed(struct area *a, uint32_t number, uint32_t *index)
{
	const uint64_t hash = other_hash(FORMER_FIXED, number, 0);
	const struct area_nic *nic = former_nic(a);
	struct area_former *f;

	for (f = former_first(a, hash); f; f = former_next(a, f->link.next, hash)) {
		if (word_at(nic, f->index) != P2P_HOP_WORD(P2P_HOP_ENTRY, 0, number))
			continue;
		keep_word(a, nic, f->index);
		*index = f->index;
		return true;
	}
	return false;
}

/* Deals a former group's buckets to ways with their indexes and shares; false: they do not come out even. */
static bool group_fits(const le32 *bucket, unsigned int log2, const struct area_deal *d, uint8_t *owner)
{
	unsigned int left[FIB_MAX_HOPS], b, i;

	memcpy(left, d->share, d->n * sizeof(*left));
	for (b = 0; b < 1u << log2; b++) {
		for (i = 0; i < d->n && (d->index[i] != from_le32(bucket[b]) || !left[i]); i++)
			;
		if (i == d->n)
			return false;
		left[i]--;
		owner[b] = (uint8_t)i;
	}
	return true;
}

bool area_keep_group(struct area *a, unsigned int log2, const struct area_deal *d, uint8_t *owner, uint32_t *index, uint32_t *first)
{
	const struct area_nic *nic = former_nic(a);
	struct area_former *f;
	uint64_t sum = 0, hash;
	unsigned int i;
	uint32_t w;

	for (i = 0; i < d->n; i++)
		sum += (uint64_t)d->share[i] * d->index[i];
	hash = other_hash(FORMER_GROUP, log2, sum);
	for (f = former_first(a, hash); f; f = former_next(a, f->link.next, hash)) {
		w = word_at(nic, f->index);
		if (P2P_HOP_FORM(w) != P2P_HOP_GROUP || P2P_HOP_LOG2(w) != log2 || buckets_kept(a, P2P_HOP_NUMBER(w), log2) ||
		    !group_fits(bucket_at(nic, P2P_HOP_NUMBER(w)), log2, d, owner))
			continue;
		*first = P2P_HOP_NUMBER(w);
		keep(a, AREA_BUCKETS, *first, 1u << log2);
		keep_word(a, nic, f->index);
		*index = f->index;
		return true;
	}
	return false;
}
