/* SPDX-License-Identifier: BSD-3-Clause */
/* Areas of NICs: made or adopted, their numbers given out and taken back. */
#include <string.h>
#include <time.h>

#include "router/area_int.h"

#define AREA_WAIT_NS 100000L /* between looks at an epoch that somebody waits for */
#define AREA_WAITS 200

/* --- what lies in the areas --- */

static void word_store(uint8_t *base, uint64_t off, uint32_t v)
{
	le32_store_release((le32 *)(base + off), v);
}

void area_write_entry(struct area *a, uint32_t number, const struct p2p_hop_entry *e)
{
	unsigned int i;

	for (i = 0; i < a->nics; i++)
		if (area_nic_written(&a->nic[i]))
			memcpy(a->nic[i].base + from_le32(a->nic[i].head->entries_at) + (size_t)number * sizeof(*e), e, sizeof(*e));
}

/* Before each store of a word or bucket (<p2pnic/route.h>, VALIDITY OF A RESULT). */
static void word_counted(struct area_nic *nic)
{
	word_store(nic->base, offsetof(struct p2p_route_head, changed[P2P_ROUTE_CHANGE_HOP]), ++nic->changed);
}

void area_store_word(struct area *a, uint32_t index, uint32_t word)
{
	unsigned int i;

	for (i = 0; i < a->nics; i++) {
		if (!area_nic_written(&a->nic[i]))
			continue;
		word_counted(&a->nic[i]);
		word_store(a->nic[i].base, from_le32(a->nic[i].head->hops_at) + 4ull * index, word);
	}
}

void area_store_bucket(struct area *a, uint32_t bucket, uint32_t index)
{
	unsigned int i;

	for (i = 0; i < a->nics; i++) {
		if (!area_nic_written(&a->nic[i]))
			continue;
		word_counted(&a->nic[i]);
		word_store(a->nic[i].base, from_le32(a->nic[i].head->buckets_at) + 4ull * bucket, index);
	}
}

/* --- numbers --- */

static int stack_push(struct area_stack *s, uint32_t v)
{
	uint32_t *more;

	if (s->n == s->size) {
		more = realloc(s->item, (s->size * 2 + 64) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->item = more;
		s->size = s->size * 2 + 64;
	}
	s->item[s->n++] = v;
	return 0;
}

static struct area_stack *stack_of(struct area *a, enum area_thing thing, unsigned int log2)
{
	return thing == AREA_INDEX ? &a->index : thing == AREA_ENTRY ? &a->entry : &a->buckets[log2];
}

static int list_push(struct area_list *l, enum area_thing thing, unsigned int log2, uint32_t number)
{
	struct area_retired *more;

	if (l->n == l->size) {
		more = realloc(l->item, (l->size * 2 + 64) * sizeof(*more));
		if (!more)
			return -ENOMEM; /* lost until the next router: never reused too early */
		l->item = more;
		l->size = l->size * 2 + 64;
	}
	l->item[l->n++] = (struct area_retired){ thing, log2, number };
	return 0;
}

void area_retire(struct area *a, enum area_thing thing, unsigned int log2, uint32_t number)
{
	a->used_hops -= thing == AREA_INDEX;
	a->used_buckets -= thing == AREA_BUCKETS ? 1u << log2 : 0;
	list_push(&a->retired, thing, log2, number);
}

/* Nothing leads to it any more: for a later router it is as if it had never been used. */
static void index_fresh(struct area *a, uint32_t index)
{
	unsigned int i;

	for (i = 0; i < a->nics; i++)
		if (area_nic_written(&a->nic[i]))
			word_store(a->nic[i].base, from_le32(a->nic[i].head->hops_at) + 4ull * index,
				   P2P_HOP_WORD(P2P_HOP_ENTRY, 0, P2P_HOP_NO_ROUTE));
}

/* What waits is free when every NIC that is still written has let go of it. */
static void area_reclaim(struct area *a)
{
	struct area_list empty;
	unsigned int i;
	size_t k;

	for (i = 0; i < a->nics && a->waiting.n; i++)
		if (area_nic_written(&a->nic[i]) && !lpm_epoch_passed(a->nic[i].table, a->nic[i].epoch))
			return;
	a->given_up = false;
	for (k = 0; k < a->waiting.n; k++) {
		if (a->waiting.item[k].thing == AREA_INDEX)
			index_fresh(a, a->waiting.item[k].number);
		stack_push(stack_of(a, a->waiting.item[k].thing, a->waiting.item[k].log2), a->waiting.item[k].number);
	}
	a->waiting.n = 0;
	if (a->batch || !a->retired.n)
		return;
	empty = a->waiting;
	a->waiting = a->retired;
	a->retired = empty;
	for (i = 0; i < a->nics; i++)
		if (area_nic_written(&a->nic[i]))
			a->nic[i].epoch = lpm_epoch_begin(a->nic[i].table);
}

static bool buckets_fresh(struct area *a, unsigned int log2, uint32_t *first)
{
	if (a->next_bucket + (1u << log2) > a->max_bucket)
		return false;
	*first = a->next_bucket;
	a->next_bucket += 1u << log2;
	return true;
}

int area_take_number(struct area *a, enum area_thing thing, unsigned int log2, uint32_t *number)
{
	const struct timespec pause = { .tv_nsec = AREA_WAIT_NS };
	struct area_stack *s = stack_of(a, thing, log2);
	unsigned int i;

	for (i = 0; !s->n; i++) {
		if (thing == AREA_BUCKETS && buckets_fresh(a, log2, number))
			break;
		area_reclaim(a);
		if (!s->n && (i == AREA_WAITS || a->given_up || (!a->waiting.n && !a->retired.n) || (a->batch && !a->waiting.n))) {
			a->given_up = i == AREA_WAITS || a->given_up;
			a->refused++;
			return -ENOSPC;
		}
		if (!s->n)
			nanosleep(&pause, NULL);
	}
	if (s->n)
		*number = s->item[--s->n];
	a->used_hops += thing == AREA_INDEX;
	a->used_buckets += thing == AREA_BUCKETS ? 1u << log2 : 0;
	return 0;
}

/* --- areas --- */

int area_create(struct area **out)
{
	struct area *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	if (hash_init(&a->members) || lpm_create(&a->lpm)) {
		area_destroy(a);
		return -ENOMEM;
	}
	a->max_hops = UINT32_MAX;
	a->max_bucket = UINT32_MAX;
	*out = a;
	return 0;
}

void area_destroy(struct area *a)
{
	unsigned int i;

	if (!a)
		return;
	area_hops_free(a);
	if (a->lpm)
		lpm_destroy(a->lpm);
	for (i = 0; i <= AREA_BUCKETS_LOG2_MAX; i++)
		free(a->buckets[i].item);
	area_former_forget(a);
	free(a->index.item);
	free(a->entry.item);
	free(a->retired.item);
	free(a->waiting.item);
	free(a->former.item);
	free(a);
}

static int taken_room(struct area *a)
{
	if (!a->taken[AREA_INDEX]) {
		a->taken[AREA_INDEX] = calloc(1, P2P_MAX_HOPS);
		a->taken[AREA_ENTRY] = calloc(1, p2p_route_entries(P2P_MAX_HOPS));
		a->taken[AREA_BUCKETS] = calloc(1, 1u << 24);
	}
	return a->taken[AREA_INDEX] && a->taken[AREA_ENTRY] && a->taken[AREA_BUCKETS] ? 0 : -ENOMEM;
}

static void taken_mark(struct area *a, enum area_thing thing, uint32_t number, uint32_t max)
{
	if (number < max)
		a->taken[thing][number] |= AREA_TAKEN;
}

/* Everything that hop words of a former router's area lead to. */
static void former_mark(struct area *a, const struct area_nic *nic)
{
	const struct p2p_route_head *h = nic->head;
	uint32_t hops = from_le32(h->hops), buckets = from_le32(h->buckets), entries = from_le32(h->entries), i, b, w;
	const le32 *word = (const le32 *)(nic->base + from_le32(h->hops_at));

	for (i = P2P_HOP_FREE; i < hops; i++) {
		w = from_le32(word[i]);
		if (w == P2P_HOP_WORD(P2P_HOP_ENTRY, 0, P2P_HOP_NO_ROUTE))
			continue; /* never used: area_fresh() */
		taken_mark(a, AREA_INDEX, i, hops);
		if (P2P_HOP_FORM(w) == P2P_HOP_ENTRY)
			taken_mark(a, AREA_ENTRY, P2P_HOP_NUMBER(w), entries);
		for (b = 0; P2P_HOP_FORM(w) == P2P_HOP_GROUP && b < 1u << P2P_HOP_LOG2(w); b++)
			taken_mark(a, AREA_BUCKETS, P2P_HOP_NUMBER(w) + b, buckets);
	}
}

/* Hop words of a new area that nobody has used yet say so. */
static void area_fresh(const struct area_nic *nic)
{
	uint32_t i;

	for (i = P2P_HOP_FREE; i < from_le32(nic->head->hops); i++)
		word_store(nic->base, from_le32(nic->head->hops_at) + 4ull * i, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, P2P_HOP_NO_ROUTE));
}

/*
 * An area that a former router abandoned: many of its hop words name what the other areas have for others by now.  Nothing leads to
 * them, and a NIC that has passed an epoch since, which one that is there does at once, reads none of them either.
 */
static bool area_left(struct area_nic *nic)
{
	const struct timespec pause = { .tv_nsec = AREA_WAIT_NS };
	struct lpm_stats st;
	unsigned int i;

	if (!lpm_table_abandoned(nic->table))
		return false;
	lpm_table_stats(nic->table, &st);
	for (i = 0; i < AREA_WAITS && !lpm_epoch_passed(nic->table, st.epoch); i++)
		nanosleep(&pause, NULL);
	return lpm_epoch_passed(nic->table, st.epoch);
}

int area_add(struct area *a, void *base, uint64_t bytes, unsigned int contexts, bool *adopted, char err[AREA_ERR_MAX])
{
	struct area_nic *nic = &a->nic[a->nics];
	struct p2p_route_shape shape;
	char why[LPM_ERR_MAX] = "";
	struct lpm_window w;
	int rc;

	if (a->nics == AREA_MAX_NICS)
		return -EINVAL;
	lpm_window_memory(&w, base, bytes);
	nic->base = base;
	rc = lpm_adopt(a->lpm, &w, &nic->table, why);
	*adopted = !rc;
	if (rc == -ENOENT || rc == -EBADMSG) {
		*why = '\0';
		lpm_shape_default(&shape);
		shape.bytes = bytes;
		shape.contexts = contexts;
		rc = lpm_make(a->lpm, &w, &shape, &nic->table);
	}
	if (rc) {
		snprintf(err, AREA_ERR_MAX, "its routing area of %llu bytes can't be used: %s; give it another size with --route-mem",
			 (unsigned long long)bytes, *why ? why : rc == -EINVAL || rc == -ENOSPC ? "it is too small" : strerror(-rc));
		return rc;
	}
	nic->head = lpm_table_head(nic->table);
	nic->changed = from_le32(nic->head->changed[P2P_ROUTE_CHANGE_HOP]);
	a->nics++;
	a->max_hops = from_le32(nic->head->hops) < a->max_hops ? from_le32(nic->head->hops) : a->max_hops;
	a->max_bucket = from_le32(nic->head->buckets) < a->max_bucket ? from_le32(nic->head->buckets) : a->max_bucket;
	nic->adopted = *adopted && !area_left(nic);
	if (!nic->adopted) {
		area_fresh(nic);
		return 0;
	}
	rc = taken_room(a);
	if (rc)
		snprintf(err, AREA_ERR_MAX, "out of memory");
	return rc;
}

static bool is_taken(const struct area *a, enum area_thing thing, uint32_t number)
{
	return a->taken[thing] && a->taken[thing][number];
}

/* All numbers that no area adopted uses are free; the others are as of the first commit. */
static void area_numbers(struct area *a)
{
	uint32_t i, entries = p2p_route_entries(a->max_hops), step = 1u << AREA_BUCKETS_LOG2_MAX;
	bool taken;
	uint32_t b;

	for (i = 0; i < a->nics; i++)
		if (a->nic[i].adopted && area_nic_written(&a->nic[i]))
			former_mark(a, &a->nic[i]);
	for (i = a->max_hops; i-- > P2P_HOP_FREE;) {
		if (is_taken(a, AREA_INDEX, i))
			list_push(&a->former, AREA_INDEX, 0, i);
		else
			stack_push(&a->index, i);
	}
	for (i = entries; i-- > P2P_HOP_FREE;) {
		if (is_taken(a, AREA_ENTRY, i))
			list_push(&a->former, AREA_ENTRY, 0, i);
		else
			stack_push(&a->entry, i);
	}
	/* Of buckets the part behind all that are taken is given out first. */
	for (i = 0, b = 0; a->taken[AREA_BUCKETS] && b < a->max_bucket; b++)
		i = is_taken(a, AREA_BUCKETS, b) ? b + 1 : i;
	a->next_bucket = P2P_ALIGN_UP(i, step) < a->max_bucket ? P2P_ALIGN_UP(i, step) : a->max_bucket;
	for (b = 0; b + step <= a->next_bucket; b += step) {
		for (i = 0, taken = false; i < step; i++)
			taken = taken || is_taken(a, AREA_BUCKETS, b + i);
		for (i = 0; i < step; i += 1u << AREA_BUCKETS_LOG2_MIN) {
			if (taken)
				list_push(&a->former, AREA_BUCKETS, AREA_BUCKETS_LOG2_MIN, b + i);
			else
				stack_push(&a->buckets[AREA_BUCKETS_LOG2_MIN], b + i);
		}
	}
	area_former_find(a);
	a->ready = true;
}

void area_adopt(struct area *a)
{
	a->batch = a->loading = true;
	lpm_begin(a->lpm);
}

void area_begin(struct area *a)
{
	if (!a->ready)
		area_numbers(a);
	if (!a->batch)
		lpm_begin(a->lpm);
	a->batch = true;
}

void area_commit(struct area *a)
{
	size_t i;

	lpm_commit(a->lpm);
	a->batch = a->loading = false;
	a->changes = 0;
	/* Nothing leads to what the former router had any more, but for what was kept. */
	for (i = 0; i < a->former.n; i++)
		if (!area_former_kept(a, a->former.item[i].thing, a->former.item[i].number))
			list_push(&a->retired, a->former.item[i].thing, a->former.item[i].log2, a->former.item[i].number);
	a->former.n = 0;
	area_former_forget(a);
	area_reclaim(a);
}

bool area_make_room(struct area *a)
{
	if (!a->batch || a->loading || !a->changes)
		return false;
	lpm_commit(a->lpm);
	lpm_begin(a->lpm);
	a->changes = 0;
	return true;
}

void area_poll(struct area *a)
{
	lpm_poll(a->lpm);
	area_reclaim(a);
}

void area_abandon(struct area *a, unsigned int n, int rc)
{
	lpm_abandon(a->nic[n].table, rc);
}

bool area_hangs(struct area *a, unsigned int n, uint64_t now_ns)
{
	struct area_nic *nic = &a->nic[n];
	struct lpm_stats st;

	if (!area_nic_written(nic))
		return false;
	if (!nic->watched || lpm_epoch_passed(nic->table, nic->watched)) {
		lpm_table_stats(nic->table, &st);
		nic->watched = st.epoch;
		nic->watched_ns = now_ns;
		nic->watched_refused = a->refused;
	}
	return now_ns - nic->watched_ns > AREA_HANG_NS && a->refused != nic->watched_refused;
}

void area_counts(const struct area *a, struct area_counts *c)
{
	struct lpm_stats st = { 0 };
	unsigned int i, first = a->nics;

	*c = (struct area_counts){
		.prefixes = { lpm_count(a->lpm, P2P_IP4), lpm_count(a->lpm, P2P_IP6) }, .hops = a->used_hops, .hops_max = a->max_hops,
		.buckets = a->used_buckets, .buckets_max = a->max_bucket, .retired = a->retired.n + a->waiting.n,
	};
	for (i = a->nics; i--;) {
		c->error = lpm_table_error(a->nic[i].table) ? lpm_table_error(a->nic[i].table) : c->error;
		c->abandoned += !area_nic_written(&a->nic[i]);
		first = area_nic_written(&a->nic[i]) ? i : first;
	}
	if (first < a->nics)
		lpm_table_stats(a->nic[first].table, &st);
	c->table_bytes = st.bytes;
	c->room_bytes = st.room_bytes;
}

int area_lookup(const struct area *a, unsigned int n, unsigned int family, struct router_addr addr, uint32_t *index)
{
	uint8_t bytes[16];

	router_addr_store(addr, family, bytes);
	return lpm_table_find(a->nic[n].table, family == 4 ? P2P_IP4 : P2P_IP6, bytes, index);
}
