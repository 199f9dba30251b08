/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening, limits and errors of a trace file; test_trace.py reads what is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/trace.h"

static const struct fab_tlp_view tlp = { .type = FAB_MWR, .addr = 0x1000, .len = 256 };
static char path[] = "/tmp/p2pnic-trace-XXXXXX";

static off_t size_of_file(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void test_limit(void **state)
{
	struct fab_trace_file *t;
	char err[FAB_ERR_MAX];
	unsigned int k;

	assert_int_equal(fab_trace_open(&t, path, err), 0);
	fab_trace_limit(t, 3);
	for (k = 0; k < 10; k++)
		fab_trace_write(t, &tlp);
	assert_int_equal(fab_trace_count(t), 3);
	fab_trace_limit(t, 5);
	for (k = 0; k < 10; k++)
		fab_trace_write(t, &tlp);
	assert_int_equal(fab_trace_count(t), 5);
	fab_trace_limit(t, 0);
	for (k = 0; k < 10; k++)
		fab_trace_write(t, &tlp);
	assert_int_equal(fab_trace_count(t), 15);
	assert_int_equal(fab_trace_close(t), 0);
	/* file header; record header, Ethernet, IPv4, UDP, NetTLP, TLP */
	assert_int_equal(size_of_file(), 24 + 15 * (16 + 14 + 20 + 8 + 6 + 12 + 256));
}

static void test_empty(void **state)
{
	struct fab_trace_file *t;
	char err[FAB_ERR_MAX];

	assert_int_equal(fab_trace_open(&t, path, err), 0);
	assert_int_equal(fab_trace_close(t), 0);
	assert_int_equal(size_of_file(), 24);
}

static void test_cannot_open(void **state)
{
	struct fab_trace_file *t;
	char err[FAB_ERR_MAX] = "";

	assert_int_equal(fab_trace_open(&t, "/nowhere/at/all.pcap", err), -ENOENT);
	assert_string_equal(err, "trace: cannot write '/nowhere/at/all.pcap': No such file or directory");
	assert_int_equal(fab_trace_open(&t, "/tmp", err), -EISDIR);
}

static void test_disk_full(void **state)
{
	struct fab_trace_file *t;
	char err[FAB_ERR_MAX] = "";
	uint64_t count;
	unsigned int k;

	assert_int_equal(fab_trace_open(&t, "/dev/full", err), 0);
	for (k = 0; k < 10000; k++)
		fab_trace_write(t, &tlp);
	count = fab_trace_count(t);
	assert_true(count < 10000);
	fab_trace_write(t, &tlp);
	assert_int_equal(fab_trace_count(t), count);
	assert_int_equal(fab_trace_close(t), -ENOSPC);
	/* what fits into the buffer fails at the end */
	assert_int_equal(fab_trace_open(&t, "/dev/full", err), 0);
	fab_trace_write(t, &tlp);
	assert_int_equal(fab_trace_close(t), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_cannot_open),
		cmocka_unit_test(test_disk_full),
	};
	int fd = mkstemp(path), rc;

	if (fd < 0)
		return 1;
	close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
