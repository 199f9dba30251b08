/* SPDX-License-Identifier: BSD-3-Clause */
/* A program that serves the fake function: fake_nic SOCKET, until SIGTERM.  For clients not written here. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <vfio_user/server.h>

#include "fake.h"

int main(int argc, char **argv)
{
	struct vfu_server_stats st;
	struct vfu_server *s;
	static struct fake f;
	sigset_t set;
	int err, sig;

	if (argc != 2) {
		fprintf(stderr, "usage: fake_nic SOCKET\n");
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	err = fake_init(&f);
	if (err) {
		fprintf(stderr, "fake_nic: %s\n", strerror(-err));
		return 1;
	}
	err = vfu_server_create(&(struct vfu_server_config){ .path = argv[1], .ops = &f.ops, .fn = &f }, &s);
	if (!err)
		err = vfu_server_start(s);
	if (err) {
		fprintf(stderr, "fake_nic: %s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	sigwait(&set, &sig);
	vfu_server_stats(s, &st);
	vfu_server_destroy(s);
	fake_fini(&f);
#define X(name, desc) printf("%s %llu\n", #name, (unsigned long long)st.name);
	VFU_SERVER_COUNTERS(X)
#undef X
	return 0;
}
