/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables read back from an area: adoption, and the check of every row and word. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lpm/table.h"

static int read_entries(struct rows *r, uint32_t at, uint32_t n, uint32_t *out)
{
	int rc = r->w.ops->read(r->w.arg, from_le64(r->head.nodes_at) + 4ull * at, out, 4ull * n);
	uint32_t k;
	le32 v;

	for (k = 0; k < n && !rc; k++) {
		memcpy(&v, &out[k], sizeof(v));
		out[k] = from_le32(v);
	}
	return rc;
}

static int load_row(struct lpm_table *t, unsigned int f, unsigned int tier, uint32_t e, char err[LPM_ERR_MAX])
{
	struct rows *r = &t->rows;
	const unsigned int width = r->head.stride[f][tier < r->head.tiers[f] ? tier : 0];
	const uint32_t at = P2P_NODE_INF(e);
	uint32_t k;
	int rc;

	if (!(e & P2P_NODE_JUMP)) {
		if (e < t->hops)
			return 0;
		snprintf(err, LPM_ERR_MAX, "a table names hop %" PRIu32 ", and there are %" PRIu32 "; make the area anew", e,
			 t->hops);
		return -EBADMSG;
	}
	rc = tier < r->head.tiers[f] && at < r->entries ? rows_found(r, at, width) : -EBADMSG;
	if (rc < 0)
		snprintf(err, LPM_ERR_MAX, "a table leads to entry %" PRIu32 ", where no row can be; make the area anew", at);
	if (rc <= 0)
		return rc;
	rc = read_entries(r, at, 1u << width, &r->entry[at]);
	if (rc)
		snprintf(err, LPM_ERR_MAX, "reading the area: %s", strerror(-rc));
	for (k = 0; k < 1u << width && !rc; k++)
		rc = load_row(t, f, tier + 1, r->entry[at + k], err);
	return rc;
}

int table_load(struct lpm_table *t, char err[LPM_ERR_MAX])
{
	struct rows *r = &t->rows;
	unsigned int f;
	uint32_t k, at, n;
	le32 word;
	int rc;

	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		if (!t->root[f])
			continue;
		at = from_le32(r->head.root[f]);
		n = 1u << r->head.stride[f][0];
		rc = read_entries(r, at, n, &r->entry[at]);
		if (!rc)
			rc = r->w.ops->read(r->w.arg, from_le32(r->head.hops_at) + 4ull * P2P_HOP_DEFAULT(f), &word, sizeof(word));
		if (rc) {
			snprintf(err, LPM_ERR_MAX, "reading the area: %s", strerror(-rc));
			return rc;
		}
		t->hop_word[f] = t->hop_next[f] = from_le32(word);
		for (k = 0; k < n; k++) {
			rc = load_row(t, f, 1, r->entry[at + k], err);
			if (rc)
				return rc;
			t->root[f][k] = r->entry[at + k];
		}
	}
	return rows_found_all(r);
}

/* ---- verify ---- */

struct verify {
	struct lpm_table *t;
	uint32_t *refs, *buf;
	char *err;
};

static int verify_same(struct verify *v, uint32_t at, uint32_t n)
{
	struct rows *r = &v->t->rows;
	int rc = read_entries(r, at, n, v->buf);
	uint32_t k;

	if (rc) {
		snprintf(v->err, LPM_ERR_MAX, "reading the area: %s", strerror(-rc));
		return rc;
	}
	for (k = 0; k < n; k++) {
		if (v->buf[k] != r->entry[at + k]) {
			snprintf(v->err, LPM_ERR_MAX, "entry %" PRIu32 " is %08" PRIx32 " in the area, not %08" PRIx32, at + k,
				 v->buf[k], r->entry[at + k]);
			return -EBADMSG;
		}
		if (v->buf[k] & P2P_NODE_JUMP)
			v->refs[rows_unit(r, P2P_NODE_INF(v->buf[k]))]++;
	}
	return 0;
}

/* Every row in use as it is in the area, and who leads to it. */
static int verify_rows(struct verify *v)
{
	struct rows *r = &v->t->rows;
	uint64_t rows = 0;
	uint32_t p, k, unit;
	unsigned int width;
	int rc;

	for (p = r->first_page; p < r->next_page; p++) {
		width = r->page[p].width;
		for (k = 0; width && k < r->page[p].carved; k++) {
			unit = rows_unit(r, (p << ROWS_PAGE_LOG2) + (k << width));
			if (!r->row[unit].ref)
				continue;
			rows++;
			rc = verify_same(v, unit << r->unit_log2, 1u << width);
			if (rc)
				return rc;
		}
	}
	for (unit = 0; unit < r->entries >> r->unit_log2; unit++) {
		if (v->refs[unit] == r->row[unit].ref)
			continue;
		snprintf(v->err, LPM_ERR_MAX, "row at entry %" PRIu32 ": %" PRIu32 " lead to it, not %" PRIu32,
			 unit << r->unit_log2, v->refs[unit], r->row[unit].ref);
		return -EBADMSG;
	}
	if (rows != r->in_use) {
		snprintf(v->err, LPM_ERR_MAX, "%" PRIu64 " rows in use, not %" PRIu64, rows, r->in_use);
		return -EBADMSG;
	}
	return 0;
}

/* Made anew from the routes it would be the same. */
static int verify_routes(struct verify *v, enum p2p_family f, const struct rib *rib)
{
	struct lpm_table *t = v->t;
	const uint64_t made = t->rows.written_bytes;
	uint32_t k;
	int rc = table_prepare_all(t, f, rib);

	for (k = 0; k < t->n && !rc; k++) {
		if (t->scratch[f][0][k] == t->root[f][k])
			continue;
		snprintf(v->err, LPM_ERR_MAX, "root entry %" PRIu32 " of IPv%u is %08" PRIx32 ", by the routes %08" PRIx32, k,
			 f == P2P_IP4 ? 4 : 6, t->root[f][k], t->scratch[f][0][k]);
		rc = -EBADMSG;
	}
	table_cancel(t);
	if (!rc && t->rows.written_bytes != made) {
		snprintf(v->err, LPM_ERR_MAX, "rows that the routes ask for were not there");
		rc = -EBADMSG;
	}
	return rc;
}

static int verify_head(struct verify *v)
{
	struct rows *r = &v->t->rows;
	struct p2p_route_head h;
	unsigned int f;
	le32 word;
	int rc = r->w.ops->read(r->w.arg, 0, &h, sizeof(h));

	/* Counted by whoever owns the hop words, not here. */
	h.changed[P2P_ROUTE_CHANGE_HOP] = r->head.changed[P2P_ROUTE_CHANGE_HOP];
	if (!rc && memcmp(&h, &r->head, offsetof(struct p2p_route_head, ctx))) {
		snprintf(v->err, LPM_ERR_MAX, "the area's head is not as it was left; has another driver taken it over?");
		return -EBADMSG;
	}
	for (f = 0; f < P2P_NUM_FAMILIES && !rc; f++) {
		rc = r->w.ops->read(r->w.arg, from_le32(r->head.hops_at) + 4ull * P2P_HOP_DEFAULT(f), &word, sizeof(word));
		if (!rc && from_le32(word) != v->t->hop_word[f]) {
			snprintf(v->err, LPM_ERR_MAX, "hop word %u is not as it was left", P2P_HOP_DEFAULT(f));
			return -EBADMSG;
		}
	}
	if (rc)
		snprintf(v->err, LPM_ERR_MAX, "reading the area: %s", strerror(-rc));
	return rc;
}

int table_verify(struct lpm_table *t, const struct rib rib[P2P_NUM_FAMILIES], char err[LPM_ERR_MAX])
{
	struct rows *r = &t->rows;
	struct verify v = { .t = t, .err = err };
	uint32_t roots = r->first_page << ROWS_PAGE_LOG2;
	unsigned int f;
	int rc;

	v.refs = calloc((r->entries >> r->unit_log2) + 1, sizeof(*v.refs));
	v.buf = malloc(4ull * (roots > ROWS_PAGE ? roots : ROWS_PAGE));
	rc = v.refs && v.buf ? verify_head(&v) : -ENOMEM;
	for (f = 0; f < P2P_NUM_FAMILIES && !rc; f++)
		rc = t->root[f] ? verify_same(&v, from_le32(r->head.root[f]), 1u << r->head.stride[f][0]) : 0;
	if (!rc)
		rc = verify_rows(&v);
	for (f = 0; f < P2P_NUM_FAMILIES && !rc; f++)
		rc = verify_routes(&v, f, &rib[f]);
	free(v.buf);
	free(v.refs);
	return rc;
}
