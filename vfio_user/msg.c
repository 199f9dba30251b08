/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "msg.h"

void vfu_fds_close(struct vfu_fds *fds)
{
	for (unsigned int i = 0; i < fds->n; i++)
		close(fds->fd[i]);
	fds->n = 0;
	fds->truncated = false;
}

int64_t vfu_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct vfu_header vfu_msg_header(uint16_t id, uint16_t command, uint32_t flags)
{
	return (struct vfu_header){
		.id = to_le16(id),
		.command = to_le16(command),
		.size = to_le32(sizeof(struct vfu_header)),
		.flags = to_le32(flags),
	};
}

int vfu_msg_wait(int sock, short events, int64_t deadline_ms)
{
	struct pollfd p = { .fd = sock, .events = events };

	for (;;) {
		int64_t left = deadline_ms - vfu_now_ms();
		int n;

		if (left < 0)
			left = 0;
		n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n && !left)
			return -ETIMEDOUT;
	}
}

/* Drops the first n bytes of what is still to be sent. */
static void advance(struct msghdr *mh, size_t n)
{
	while (n && mh->msg_iovlen) {
		size_t step = n < mh->msg_iov->iov_len ? n : mh->msg_iov->iov_len;

		mh->msg_iov->iov_base = (uint8_t *)mh->msg_iov->iov_base + step;
		mh->msg_iov->iov_len -= step;
		n -= step;
		if (!mh->msg_iov->iov_len) {
			mh->msg_iov++;
			mh->msg_iovlen--;
		}
	}
}

int vfu_msg_send(int sock, struct vfu_header *header, const struct iovec *body, unsigned int nbody, const int *fds,
		 unsigned int nfds, int64_t deadline_ms)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(VFU_MAX_MSG_FDS * sizeof(int))];
	} control;
	struct iovec iov[4];
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = nbody + 1 };
	size_t left = sizeof(*header);

	if (nbody + 1 > P2P_ARRAY_SIZE(iov) || nfds > VFU_MAX_MSG_FDS)
		return -EINVAL;
	iov[0] = (struct iovec){ header, sizeof(*header) };
	for (unsigned int i = 0; i < nbody; i++) {
		iov[i + 1] = body[i];
		left += body[i].iov_len;
	}
	header->size = to_le32((uint32_t)left);
	if (nfds) {
		struct cmsghdr *cm;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
	}
	while (left) {
		ssize_t n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return -errno;
		if (n < 0) {
			err = vfu_msg_wait(sock, POLLOUT, deadline_ms);
			if (err)
				return err;
			continue;
		}
		left -= (size_t)n;
		advance(&mh, (size_t)n);
		mh.msg_control = NULL;
		mh.msg_controllen = 0;
	}
	return 0;
}

static void take_fds(struct msghdr *mh, struct vfu_fds *fds)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		size_t n;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (fds->n < VFU_MAX_MSG_FDS) {
				fds->fd[fds->n++] = fd;
			} else {
				close(fd);
				fds->truncated = true;
			}
		}
	}
	if (mh->msg_flags & MSG_CTRUNC)
		fds->truncated = true;
}

int64_t vfu_msg_recv(int sock, void *buf, size_t len, struct vfu_fds *fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(VFU_MAX_MSG_FDS * sizeof(int))];
	} control;
	struct iovec iov = { buf, len };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n;

	do {
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	take_fds(&mh, fds);
	return n;
}
