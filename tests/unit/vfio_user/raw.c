/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"
#include "tests/open_fds.h"

void bench_init(struct bench *b, uint32_t timeout_ms)
{
	struct vfu_server_config cfg = {
		.path = b->path,
		.ops = &b->fake.ops,
		.fn = &b->fake,
		.handshake_timeout_ms = timeout_ms,
		.message_timeout_ms = timeout_ms,
	};

	strcpy(b->dir, "/tmp/p2pnic-vfu-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/nic", b->dir);
	assert_int_equal(fake_init(&b->fake), 0);
	assert_int_equal(vfu_server_create(&cfg, &b->server), 0);
	assert_int_equal(vfu_server_start(b->server), 0);
	b->open_fds = open_fds();
}

void bench_fini(struct bench *b)
{
	vfu_server_destroy(b->server);
	fake_fini(&b->fake);
	assert_int_equal(access(b->path, F_OK), -1);
	assert_int_equal(rmdir(b->dir), 0);
}

void bench_check_fds(struct bench *b)
{
	for (int i = 0; i < RAW_PATIENCE_MS / 5 && open_fds() != b->open_fds; i++)
		nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	assert_int_equal(open_fds(), b->open_fds);
}

int raw_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(sock >= 0);
	strcpy(sa.sun_path, path);
	assert_int_equal(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return sock;
}

int raw_open(const char *path)
{
	struct vfu_version v = { to_le16(VFU_MAJOR), to_le16(VFU_MINOR) };
	struct vfu_header h;
	uint8_t body[1024];
	int sock = raw_connect(path);

	raw_send(sock, 0, VFU_VERSION, 0, 0, &v, sizeof(v), 0);
	assert_true(raw_recv(sock, &h, body, sizeof(body)) > (int)sizeof(v));
	assert_int_equal(from_le32(h.flags), VFU_F_REPLY);
	return sock;
}

void raw_send(int sock, uint16_t id, uint16_t command, uint32_t flags, uint32_t size, const void *body, size_t len,
	      unsigned int nfds)
{
	struct vfu_header h = vfu_msg_header(id, command, flags);
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)body, len } };
	char control[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	int fds[64];
	ssize_t n;

	h.size = to_le32(size ? size : (uint32_t)(sizeof(h) + len));
	if (nfds) {
		struct cmsghdr *cm = (struct cmsghdr *)control;

		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		*cm = (struct cmsghdr){ .cmsg_len = CMSG_LEN(nfds * sizeof(int)),
					.cmsg_level = SOL_SOCKET,
					.cmsg_type = SCM_RIGHTS };
		fds[0] = eventfd(0, EFD_CLOEXEC);
		assert_true(fds[0] >= 0);
		for (unsigned int i = 1; i < nfds; i++)
			fds[i] = fds[0];
		memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
	}
	n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	if (nfds)
		close(fds[0]);
	/* The server may have hung up on an earlier one. */
	assert_true(n == (ssize_t)(sizeof(h) + len) || (n < 0 && (errno == EPIPE || errno == ECONNRESET)));
}

static bool read_all(int sock, void *to, size_t len)
{
	for (size_t have = 0; have < len;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, RAW_PATIENCE_MS), 1);
		n = recv(sock, (uint8_t *)to + have, len - have, 0);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

int raw_recv(int sock, struct vfu_header *h, void *body, size_t max)
{
	size_t len;

	if (!read_all(sock, h, sizeof(*h)))
		return -1;
	len = from_le32(h->size) - sizeof(*h);
	assert_true(len <= max);
	return read_all(sock, body, len) ? (int)len : -1;
}

int raw_ask(int sock, uint16_t command, const void *body, size_t len, void *out, size_t out_len)
{
	static uint16_t id = 100;
	uint8_t buf[4096];
	struct vfu_header h;
	int n;

	raw_send(sock, ++id, command, 0, 0, body, len, 0);
	n = raw_recv(sock, &h, buf, sizeof(buf));
	if (n < 0)
		return -1;
	assert_int_equal(from_le16(h.id), id);
	assert_int_equal(from_le16(h.command), command);
	if (from_le32(h.flags) & VFU_F_ERROR) {
		assert_int_equal(n, 0);
		return (int)from_le32(h.error);
	}
	assert_int_equal(from_le32(h.flags), VFU_F_REPLY);
	if (out) {
		assert_int_equal(n, out_len);
		memcpy(out, buf, out_len);
	}
	return 0;
}

bool raw_alive(int sock)
{
	struct vfu_device_info i = { .argsz = to_le32(sizeof(i)) };

	return raw_ask(sock, VFU_DEVICE_GET_INFO, &i, sizeof(i), &i, sizeof(i)) == 0 &&
	       from_le32(i.num_irqs) == P2P_NUM_IRQS;
}
