/* SPDX-License-Identifier: BSD-3-Clause */
/* What of the xdp port needs no kernel with AF_XDP: specs, the UMEM's range, books of what is under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ports/xdp_int.h"

static void refuse(const char *spec, const char *part)
{
	char err[PORT_ERR_MAX] = "";
	struct port *p = NULL;

	if (!port_open(&p, spec, err) || p || !strstr(err, part) || strchr(err, '\n'))
		fail_msg("'%s': '%s' lacks '%s'", spec, err, part);
}

static void test_specs(void **state)
{
	refuse("xdp:", "no interface name");
	refuse("xdp:sixteen-letters-", "no interface name");
	refuse("xdp:x,queue=4096", "from 0 to 4095");
	refuse("xdp:x,queues=0", "from 1 to 16");
	refuse("xdp:x,queues=17", "from 1 to 16");
	refuse("xdp:x,ring=32", "from 64");
	refuse("xdp:x,ring=96", "power of two");
	refuse("xdp:x,mode=fast", "auto, native or skb");
	refuse("xdp:x,zerocopy=perhaps", "auto, on or off");
	refuse("xdp:x,zerocopy", "auto, on or off");
	refuse("xdp:x,mode=skb,zerocopy=on", "not with mode=skb");
	refuse("xdp:x,netns=", "netns= needs");
	refuse("xdp:x,netns=no-such-namespace-here", "no network namespace '/run/netns/no-such-namespace-here'");
	refuse("xdp:x,netns=/dev/null", "cannot enter network namespace");
	refuse("xdp:no-such-device", "no interface 'no-such-device'");
}

static void test_config(void **state)
{
	struct xsk_umem_config c;

	assert_int_equal(xdp_umem_config(2048, 512, &c), 0);
	assert_int_equal(c.frame_size, 2048);
	assert_int_equal(c.fill_size, 512);
	assert_int_equal(c.comp_size, 512);
	assert_int_equal(c.flags, 0);
	assert_int_equal(c.frame_headroom, 0);
	assert_int_equal(xdp_umem_config(4096, 64, &c), 0);
	assert_int_equal(c.flags, 0);
	assert_int_equal(xdp_umem_config(2112, 64, &c), 0);
	assert_int_equal(c.flags, XDP_UMEM_UNALIGNED_CHUNK_FLAG);
	assert_int_equal(xdp_umem_config(9728, 64, &c), -EMSGSIZE);
}

static struct port_region region_make(size_t size, unsigned int flags)
{
	struct port_region r = { .size = size, .fd = memfd_create("test", MFD_CLOEXEC | flags) };

	if (r.fd < 0 || ftruncate(r.fd, (off_t)size)) {
		assert_true(flags != 0);
		goto none;
	}
	r.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | (flags ? MAP_POPULATE : 0), r.fd, 0);
	if (r.base != MAP_FAILED)
		return r;
	assert_true(flags != 0);
none:
	if (r.fd >= 0)
		close(r.fd);
	return (struct port_region){ .fd = -1 };
}

static void region_free(struct port_region *r)
{
	munmap(r->base, r->size);
	close(r->fd);
}

/* Every region is there, whole, without a hole between, and the same memory as the board's. */
static void range_check(const struct port_memory *mem)
{
	struct xdp_range range;
	uint64_t sum = 0;
	unsigned int i;

	assert_int_equal(xdp_umem_map(&range, mem), 0);
	for (i = 0; i < mem->n; i++) {
		uint8_t *first = range.base + range.at[i], *last = first + mem->region[i].size - 1;

		assert_true(range.at[i] + mem->region[i].size <= range.size);
		mem->region[i].base[0] = (uint8_t)(i + 1);
		mem->region[i].base[mem->region[i].size - 1] = (uint8_t)(i + 101);
		assert_int_equal(*first, i + 1);
		*first = 0;
		assert_int_equal(mem->region[i].base[0], 0);
		assert_int_equal(*last, i + 101);
		sum += mem->region[i].size;
	}
	assert_int_equal(range.size, sum);
	xdp_umem_unmap(&range);
	assert_null(range.map);
	xdp_umem_unmap(&range);
}

static void test_range(void **state)
{
	struct port_memory mem = { .n = 3, .buf_size = 2048, .rx_bufs = 4 };
	struct xdp_range range;
	unsigned int i;

	for (i = 0; i < 3; i++)
		mem.region[i] = region_make(4096 * (i + 2), 0);
	range_check(&mem);
	close(mem.region[1].fd);
	mem.region[1].fd = -1;
	assert_int_equal(xdp_umem_map(&range, &mem), -EINVAL);
	for (i = 0; i < 3; i++)
		region_free(&mem.region[i]);
}

/* Huge pages in the middle: they go first, at an address that they can have. */
static void test_range_huge(void **state)
{
	struct port_memory mem = { .n = 3, .buf_size = 2048, .rx_bufs = 4 };
	struct xdp_range range;
	unsigned int i;

	mem.region[1] = region_make(2 << 20, MFD_HUGETLB);
	if (mem.region[1].fd < 0) {
		print_message("no 2 MiB pages are free: not tested\n");
		return;
	}
	mem.region[0] = region_make(4096 * 3, 0);
	mem.region[2] = region_make(4096, 0);
	range_check(&mem);
	assert_int_equal(xdp_umem_map(&range, &mem), 0);
	assert_int_equal(range.at[1], 0);
	xdp_umem_unmap(&range);
	for (i = 0; i < 3; i++)
		region_free(&mem.region[i]);
}

static struct xdp_port *books_make(uint32_t buf_size)
{
	struct xdp_port *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->started = true;
	x->first = x;
	x->num_bufs = x->mem.rx_bufs = 8;
	x->mem.buf_size = buf_size;
	x->chunk_shift = buf_size == 2048 ? 11 : 0;
	x->mem.region[0].base = malloc(8 * (size_t)buf_size);
	x->range.at[0] = 1 << 20;
	x->pool = calloc(8, sizeof(*x->pool));
	x->cookie = calloc(8, sizeof(*x->cookie));
	x->with_kernel = calloc(8, sizeof(*x->with_kernel));
	x->sent = calloc(4, sizeof(*x->sent));
	x->sent_mask = 3;
	assert_true(x->mem.region[0].base && x->pool && x->cookie && x->with_kernel && x->sent);
	return x;
}

static void books_free(struct xdp_port *x)
{
	free(x->mem.region[0].base);
	free(x->pool);
	free(x->cookie);
	free(x->with_kernel);
	free(x->sent);
	free(x);
}

static void sent(struct xdp_port *x, uint64_t addr, uint32_t len, bool more)
{
	struct p2p_seg s = { .len = len, .flags = more ? P2P_SEG_MORE : 0 };

	xdp_sent_add(x, addr, &s);
}

/* Completions in any order are reported in the order of sending, frames and bytes counted once. */
static void test_completions(void **state)
{
	struct xdp_port *x = books_make(2048);
	unsigned int round;

	x->sent_head = x->sent_tail = UINT32_MAX - 5;
	for (round = 0; round < 4; round++) {
		sent(x, 0, 100, true);
		sent(x, 2048, 50, false);
		sent(x, 4096, 60, false);
		xdp_sent_complete(x, 4096);
		assert_int_equal(xdp_tx_done(&x->port), 0);
		xdp_sent_complete(x, 6144); /* was never sent */
		xdp_sent_complete(x, 2048);
		xdp_sent_complete(x, 2048);
		assert_int_equal(xdp_tx_done(&x->port), 0);
		xdp_sent_complete(x, 0);
		assert_int_equal(xdp_tx_done(&x->port), 3);
		assert_int_equal(xdp_tx_done(&x->port), 0);
	}
	assert_int_equal(x->port.stats.tx_frames, 8);
	assert_int_equal(x->port.stats.tx_bytes, 840);
	/* What the kernel never saw waits for what it did. */
	sent(x, XDP_ADDR_NONE, 10, false);
	assert_int_equal(xdp_tx_done(&x->port), 1);
	sent(x, 2048, 50, false);
	sent(x, XDP_ADDR_NONE, 10, false);
	assert_int_equal(xdp_tx_done(&x->port), 0);
	xdp_sent_complete(x, 2048);
	assert_int_equal(xdp_tx_done(&x->port), 2);
	assert_int_equal(x->port.stats.tx_frames, 9);
	books_free(x);
}

static void received(uint32_t buf_size)
{
	struct xdp_port *x = books_make(buf_size);
	struct p2p_seg s;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		s = (struct p2p_seg){ .data = x->mem.region[0].base + i * (size_t)buf_size, .len = buf_size, .cookie = 70 + i };
		assert_int_equal(xdp_rx_post(&x->port, &s, 1), 1);
	}
	assert_int_equal(xdp_rx_post(&x->port, &s, 1), 0);
	assert_int_equal(x->pool_n, 8);
	for (i = 0; i < 8; i++) {
		uint64_t begin = x->range.at[0] + i * (uint64_t)buf_size;

		x->with_kernel[i] = true;
		s = xdp_received(x, buf_size == 2048 ? begin + XDP_HEADROOM :
				 begin | (uint64_t)XDP_HEADROOM << XSK_UNALIGNED_BUF_OFFSET_SHIFT, 99, i & 1);
		assert_ptr_equal(s.data, x->mem.region[0].base + i * (size_t)buf_size + XDP_HEADROOM);
		assert_int_equal(s.cookie, 70 + i);
		assert_int_equal(s.len, 99);
		assert_int_equal(s.flags, i & 1 ? P2P_SEG_MORE : 0);
		assert_int_equal(s.region, 0);
		assert_false(x->with_kernel[i]);
	}
	books_free(x);
}

static void test_received(void **state)
{
	received(2048);
	received(2112);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_specs), cmocka_unit_test(test_config), cmocka_unit_test(test_range),
		cmocka_unit_test(test_range_huge), cmocka_unit_test(test_completions), cmocka_unit_test(test_received),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
