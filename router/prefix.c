/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "router/prefix.h"

static uint64_t load64(const uint8_t *b, unsigned int n)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		v |= (uint64_t)b[i] << (56 - 8 * i);
	return v;
}

struct router_addr router_addr_load(unsigned int family, const void *bytes)
{
	const uint8_t *b = bytes;

	if (family == 4)
		return (struct router_addr){ .hi = load64(b, 4) };
	return (struct router_addr){ .hi = load64(b, 8), .lo = load64(b + 8, 8) };
}

void router_addr_store(struct router_addr a, unsigned int family, void *bytes)
{
	uint8_t *b = bytes;
	unsigned int i;

	for (i = 0; i < (family == 4 ? 4u : 8u); i++)
		b[i] = (uint8_t)(a.hi >> (56 - 8 * i));
	for (i = 0; family == 6 && i < 8; i++)
		b[8 + i] = (uint8_t)(a.lo >> (56 - 8 * i));
}

const char *router_addr_text(struct router_addr a, unsigned int family, char text[ROUTER_ADDR_TEXT])
{
	uint8_t bytes[16];

	router_addr_store(a, family, bytes);
	inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, text, ROUTER_ADDR_TEXT);
	return text;
}

const char *router_prefix_text(const struct router_prefix *p, char text[ROUTER_PREFIX_TEXT])
{
	char addr[ROUTER_ADDR_TEXT];

	snprintf(text, ROUTER_PREFIX_TEXT, "%s/%u", router_addr_text(p->addr, p->family, addr), p->len);
	return text;
}

bool router_addr_parse(const char *text, unsigned int *family, struct router_addr *a)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*family = 4;
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*family = 6;
	else
		return false;
	*a = router_addr_load(*family, bytes);
	return true;
}
