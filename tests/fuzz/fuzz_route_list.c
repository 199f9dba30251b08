/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of routes: plain ones, `location dump`, and what `route dump` writes, as `route load` and `bench lpm` read them.
 * What a plain list says is read again from what was understood of it.
 *
 *   input   one byte of choices, then the file
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include <cli/route_load.h>
#include "fuzz.h"

static int line(void *arg, const struct lpm_list_line *l)
{
	char text[LPM_PREFIX_TEXT];
	struct lpm_prefix again;

	if (l->prefix.len > P2P_FAMILY_BITS(l->prefix.family))
		fuzz_fail("a prefix of %u bits", l->prefix.len);
	if (lpm_prefix_parse(lpm_prefix_format(&l->prefix, text), &again) || again.family != l->prefix.family ||
	    again.len != l->prefix.len || memcmp(again.addr, l->prefix.addr, sizeof(again.addr)))
		fuzz_fail("'%s' is not read as it was written", text);
	++*(unsigned int *)arg;
	return 0;
}

static void read_list(const uint8_t *data, size_t size, enum lpm_list_format format)
{
	char err[LPM_ERR_MAX] = "";
	unsigned int lines = 0;
	FILE *f = fmemopen((void *)(uintptr_t)data, size, "r");
	int rc;

	if (!f)
		return;
	rc = lpm_list_read(f, format, line, &lines, err);
	if (rc && !*err)
		fuzz_fail("error %d without a word", rc);
	fclose(f);
}

static void load(const uint8_t *data, size_t size, uint8_t how)
{
	struct route_source s = { .format = how & 4 ? -1 : how >> 3 & 1, .limit = how & 16 ? 3 : 0, .aimed = how & 32,
				  .type = RTN_UNICAST };
	struct route_left left;
	struct plan p;
	char err[CLI_ERR_MAX];
	uint32_t gateway[2];
	size_t k;
	int rc;

	plan_init(&p);
	s.path = fuzz_file(data, size);
	if (how & 64 && !plan_gateway(&p, "192.0.2.1", 0, &gateway[0], err) && !plan_gateway(&p, "2001:db8::1", 0, &gateway[1], err)) {
		s.gateway = gateway;
		s.gateways = 2;
	}
	rc = route_load_list(&p, &s, &left, err);
	if (rc && !*err)
		fuzz_fail("error %d without a word", rc);
	if (!rc)
		route_left_text(&left, err);
	for (k = 0; k < p.routes; k++)
		if (p.route[k].first + (size_t)p.route[k].n > p.listed)
			fuzz_fail("route %zu has ways that there are not", k);
	for (k = 0; k < p.listed; k++)
		if (p.list[k].gateway >= p.gws || !p.list[k].weight || p.list[k].weight > 256)
			fuzz_fail("a way by gateway %u, weight %u", p.list[k].gateway, p.list[k].weight);
	plan_close(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		read_list(data + 1, size - 1, data[0] & 2 ? LPM_LIST_LOCATION : LPM_LIST_PLAIN);
	else
		load(data + 1, size - 1, data[0]);
	return 0;
}
