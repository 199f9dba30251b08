/* SPDX-License-Identifier: BSD-3-Clause */
/* foreign_xdp netlink|link native|skb IFNAME: somebody else's XDP program, which passes everything; stays until it is killed. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd, index, rc;

	if (argc != 4)
		return 2;
	opts.flags = strcmp(argv[2], "native") == 0 ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	index = (int)if_nametoindex(argv[3]);
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "BSD", pass, 2, NULL);
	if (fd < 0) {
		perror("bpf_prog_load");
		return 1;
	}
	if (strcmp(argv[1], "netlink") == 0)
		rc = bpf_xdp_attach(index, fd, opts.flags, NULL);
	else
		rc = bpf_link_create(fd, index, BPF_XDP, &opts);
	if (rc < 0) {
		perror("attach");
		return 1;
	}
	puts("attached");
	fflush(stdout);
	for (;;)
		pause();
}
