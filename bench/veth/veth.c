/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * veth send IFNAME CORE BYTES MS   frames of BYTES (without FCS) into a veth for MS milliseconds, as fast as it goes: XDP
 *                                  frames that the kernel makes of a test run's data, which need no sk_buff
 *                                  (BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18); the other end's counters tell how many
 * veth forward IF1 IF2             XDP programs on both that redirect to the other one; until it is killed
 *
 * In the namespace of the interfaces.  Helper of run.py.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1u << 1)
#endif

#define BATCH 64

static const uint8_t head[14] = { 2, 0x99, 0, 0, 0, 1, 2, 0x99, 0, 0, 0, 2, 0x88, 0xb5 };

static int fail(const char *what)
{
	fprintf(stderr, "veth: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Whatever comes goes out of the interface. */
static int redirect_load(int ifindex)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = ifindex },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "redirect", "BSD", insns, sizeof(insns) / sizeof(insns[0]), NULL);
}

static void enough(int sig)
{
}

static int send_frames(const char *ifname, int core, unsigned int bytes, unsigned int ms)
{
	static uint8_t frame[1600];
	struct xdp_md ctx = { .data_end = bytes };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = bytes, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = INT_MAX, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	cpu_set_t set;
	int fd;

	if (bytes < sizeof(head) || bytes > sizeof(frame)) {
		errno = EINVAL;
		return fail("frame size");
	}
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return fail("core");
	memcpy(frame, head, sizeof(head));
	fd = redirect_load((int)if_nametoindex(ifname));
	if (fd < 0)
		return fail("bpf_prog_load");
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = enough }, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { ms / 1000, ms % 1000 * 1000 } }, NULL);
	/* One run that a signal ends: beginning one takes milliseconds. */
	if (bpf_prog_test_run_opts(fd, &opts) == 0 || errno == EINTR)
		return 0;
	return fail("bpf_prog_test_run (needs Linux 5.18)");
}

static int forward(const char *a, const char *b)
{
	int ia = (int)if_nametoindex(a), ib = (int)if_nametoindex(b), fd[2] = { redirect_load(ib), redirect_load(ia) };
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);

	if (fd[0] < 0 || fd[1] < 0)
		return fail("bpf_prog_load");
	if (bpf_link_create(fd[0], ia, BPF_XDP, &opts) < 0 || bpf_link_create(fd[1], ib, BPF_XDP, &opts) < 0)
		return fail("bpf_link_create");
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "send") == 0)
		return send_frames(argv[2], atoi(argv[3]), (unsigned int)atoi(argv[4]), (unsigned int)atoi(argv[5]));
	if (argc == 4 && strcmp(argv[1], "forward") == 0)
		return forward(argv[2], argv[3]);
	fputs("usage: veth send IFNAME CORE BYTES MS | veth forward IF1 IF2\n", stderr);
	return 2;
}
