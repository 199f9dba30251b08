/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each call of the memif port costs, in TSC cycles per 64-byte frame, in
 * bursts of 32: a client and a server of one process on one thread, so that
 * everything is in this core's cache and nothing but the code is measured.
 * Medians over bursts, which another process on the core can't move.
 */
#include "env.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <x86intrin.h>

#define ROUNDS 20000

static struct env server, client;
static struct p2p_seg segs[ENV_BURST];

static unsigned int tx(struct env *e)
{
	unsigned int n;

	for (n = 0; n < ENV_BURST; n++) {
		segs[n] = (struct p2p_seg){ .region = 1, .len = 64 };
		segs[n].data = e->mem.region[1].base + (size_t)((e->tx_head + n) % e->bufs) * e->stride;
	}
	return n;
}

static unsigned int server_tx(void)
{
	return server.port->ops->tx_burst(server.port, segs, ENV_BURST);
}

static unsigned int client_tx(void)
{
	return client.port->ops->tx_burst(client.port, segs, ENV_BURST);
}

static unsigned int server_rx(void)
{
	return server.port->ops->rx_burst(server.port, segs, ENV_BURST);
}

static unsigned int client_rx(void)
{
	return client.port->ops->rx_burst(client.port, segs, ENV_BURST);
}

static unsigned int server_post(void)
{
	return server.port->ops->rx_post(server.port, segs, ENV_BURST);
}

static unsigned int client_post(void)
{
	return client.port->ops->rx_post(client.port, segs, ENV_BURST);
}

static unsigned int client_done(void)
{
	return client.port->ops->tx_done(client.port);
}

static const struct {
	const char *name;
	unsigned int (*call)(void);
	struct env *sender; /* fills segs first */
} step[] = {
	{ "server tx_burst (copy)", server_tx, &server }, { "client rx_burst", client_rx, NULL },
	{ "client rx_post", client_post, NULL },          { "client tx_burst", client_tx, &client },
	{ "server rx_burst (copy)", server_rx, NULL },    { "server rx_post", server_post, NULL },
	{ "client tx_done", client_done, NULL },
};

static uint32_t cycles[P2P_ARRAY_SIZE(step)][ROUNDS];

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	char spec[2][80];
	double sum = 0;

	snprintf(spec[0], sizeof(spec[0]), "memif:@p2pnic-bench-%d,role=server", getpid());
	snprintf(spec[1], sizeof(spec[1]), "memif:@p2pnic-bench-%d", getpid());
	env_open(&server, spec[0], 256, 2112);
	env_open(&client, spec[1], 256, 2112);
	while (!client.port->ops->link_up(client.port) || !server.port->ops->link_up(server.port)) {
		env_control(&server);
		env_control(&client);
	}
	for (unsigned int r = 0; r < ROUNDS; r++) {
		for (unsigned int s = 0; s < P2P_ARRAY_SIZE(step); s++) {
			uint64_t t0, t1;
			unsigned int n;

			if (step[s].sender)
				tx(step[s].sender);
			else
				for (unsigned int i = 0; i < ENV_BURST; i++)
					segs[i].len = server.stride;
			t0 = __rdtsc();
			n = step[s].call();
			t1 = __rdtsc();
			if (n != ENV_BURST) {
				fprintf(stderr, "%s moved %u of %u\n", step[s].name, n, ENV_BURST);
				return 1;
			}
			cycles[s][r] = (uint32_t)(t1 - t0);
		}
		server.port->ops->tx_done(server.port);
		server.tx_head += ENV_BURST;
		client.tx_head += ENV_BURST;
	}
	for (unsigned int s = 0; s < P2P_ARRAY_SIZE(step); s++) {
		qsort(cycles[s], ROUNDS, sizeof(cycles[s][0]), compare);
		printf("%-24s %6.1f cycles/frame\n", step[s].name, cycles[s][ROUNDS / 2] / (double)ENV_BURST);
		if (step[s].name[0] == 'c')
			sum += cycles[s][ROUNDS / 2] / (double)ENV_BURST;
	}
	printf("%-24s %6.1f cycles/frame\n", "client, all four", sum);
	env_close(&client);
	env_close(&server);
	return 0;
}
