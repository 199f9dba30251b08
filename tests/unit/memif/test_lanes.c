/* SPDX-License-Identifier: BSD-3-Clause */
/* A memif port with several queues, each driven by a thread of its own: traffic, a client that goes and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <p2pnic/layout.h>

#include "env.h"

#define QUEUES 3
#define FRAMES 6000
#define BUFS 256
#define LIMIT_NS 30000000000ull

struct lane {
	pthread_t thread;
	struct env *e;
	uint32_t far_seed;
	uint64_t send, receive; /* until so many in all */
	bool until_down;        /* instead of that: until the link is down */
	bool good;
};

static struct env server[QUEUES], client[QUEUES];
static struct lane lane[2 * QUEUES];

static void *lane_run(void *arg)
{
	struct lane *l = arg;
	uint64_t end = env_now_ns() + LIMIT_NS;

	while (!l->good && env_now_ns() < end) {
		env_control(l->e);
		if (l->until_down) {
			l->good = !l->e->port->ops->link_up(l->e->port);
			continue;
		}
		if (l->e->sent < l->send)
			env_send(l->e, l->send - l->e->sent < 32 ? (unsigned int)(l->send - l->e->sent) : 32, 60 + l->e->sent % 1400, 2048);
		env_receive(l->e, l->far_seed);
		env_reap(l->e);
		l->good = l->e->sent == l->send && l->e->received == l->receive && l->e->tx_head == l->e->tx_tail;
	}
	return NULL;
}

static void lanes_start(unsigned int from, unsigned int to, uint64_t frames, bool until_down)
{
	for (unsigned int k = from; k < to; k++) {
		struct env *mine = k < QUEUES ? server : client;
		unsigned int q = k % QUEUES;

		lane[k] = (struct lane){ .e = &mine[q], .far_seed = k < QUEUES ? 20 + q : 10 + q, .send = frames, .receive = frames,
					 .until_down = until_down };
		mine[q].seed = k < QUEUES ? 10 + q : 20 + q;
		assert_int_equal(pthread_create(&lane[k].thread, NULL, lane_run, &lane[k]), 0);
	}
}

static void lanes_join(unsigned int from, unsigned int to)
{
	for (unsigned int k = from; k < to; k++)
		pthread_join(lane[k].thread, NULL);
	for (unsigned int k = from; k < to; k++) {
		const struct env *e = lane[k].e;

		if (!lane[k].good || e->lost || e->reordered || e->corrupted)
			fail_msg("lane %u: %llu sent, %llu received, lost %llu, reordered %llu, corrupted %llu", k,
				 (unsigned long long)e->sent, (unsigned long long)e->received, (unsigned long long)e->lost,
				 (unsigned long long)e->reordered, (unsigned long long)e->corrupted);
	}
}

/* As many queues as the port has, and nothing of one in another's ring: seeds differ. */
static void test_traffic(void **state)
{
	uint64_t was[QUEUES][2];
	char spec[2][160];

	snprintf(spec[0], sizeof(spec[0]), "memif:@p2pnic-lanes-%d,role=server", getpid());
	snprintf(spec[1], sizeof(spec[1]), "memif:@p2pnic-lanes-%d,queues=%d,rings=64", getpid(), QUEUES);
	env_open_queues(server, QUEUES, spec[0], BUFS, 2048);
	env_open_queues(client, QUEUES, spec[1], BUFS, 2048);
	lanes_start(0, 2 * QUEUES, FRAMES, false);
	lanes_join(0, 2 * QUEUES);
	for (unsigned int life = 2; life <= 4; life++) {
		/* It goes while the server's lanes run. */
		lanes_start(0, QUEUES, 0, true);
		for (unsigned int q = 0; q < QUEUES; q++) {
			was[q][0] = client[q].sent;
			was[q][1] = client[q].received;
		}
		env_close_queues(client, QUEUES);
		lanes_join(0, QUEUES);
		env_open_queues(client, QUEUES, spec[1], BUFS, 2048);
		for (unsigned int q = 0; q < QUEUES; q++) {
			client[q].sent = was[q][0];
			client[q].received = was[q][1];
		}
		lanes_start(0, 2 * QUEUES, life * FRAMES, false);
		lanes_join(0, 2 * QUEUES);
		assert_int_equal(server[0].port->stats.link_changes, 2 * life - 1);
	}
	assert_null(server[0].port->ops->queue(server[0].port, P2P_MAX_QUEUES));
	assert_null(client[0].port->ops->queue(client[0].port, QUEUES));
	/* The server goes first. */
	env_close_queues(server, QUEUES);
	env_close_queues(client, QUEUES);
}

static bool lanes_up(struct env *e)
{
	bool up = true;

	for (unsigned int q = 0; q < QUEUES; q++) {
		env_control(&e[q]);
		up &= e[q].port->ops->link_up(e[q].port);
	}
	return up;
}

/* Rings stay where they are until the last lane has left them, however long it stands still: longer than is drained for. */
static void stand_still(struct env *stays, struct env *goes)
{
	uint64_t end = env_now_ns() + LIMIT_NS, until;

	for (bool up = false; !up;) {
		up = lanes_up(stays);
		up &= lanes_up(goes);
		assert_true(env_now_ns() < end);
	}
	env_close_queues(goes, QUEUES);
	for (until = env_now_ns() + 1300000000; env_now_ns() < until;) {
		env_control(&stays[0]);
		env_control(&stays[1]);
		env_receive(&stays[2], 0);
		env_send(&stays[2], 1, 60, 2048);
		env_reap(&stays[2]);
	}
	assert_false(stays[0].port->ops->link_up(stays[0].port));
	assert_false(stays[1].port->ops->link_up(stays[1].port));
	assert_true(stays[2].port->ops->link_up(stays[2].port));
	env_control(&stays[2]);
	assert_false(stays[2].port->ops->link_up(stays[2].port));
}

static void test_stands_still(void **state)
{
	char spec[2][160];

	snprintf(spec[0], sizeof(spec[0]), "memif:@p2pnic-still-%d,role=server", getpid());
	snprintf(spec[1], sizeof(spec[1]), "memif:@p2pnic-still-%d,queues=%d,rings=64", getpid(), QUEUES);
	env_open_queues(server, QUEUES, spec[0], BUFS, 2048);
	env_open_queues(client, QUEUES, spec[1], BUFS, 2048);
	stand_still(server, client);
	env_open_queues(client, QUEUES, spec[1], BUFS, 2048);
	stand_still(client, server);
	env_close_queues(client, QUEUES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_stands_still),
	};

	return cmocka_run_group_tests_name("memif/lanes", tests, NULL, NULL);
}
