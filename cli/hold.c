/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <linux/vfio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/hold.h"
#include "driver/handover.h"

#define HOLD_MONITOR_MS 500
#define HOLD_SCHEME "vfio:"

/* What hold_run() sleeps on. */
struct hold_watch {
	struct drv *d;
	struct hold *h;
	struct sock_listener listener;
	int signal_fd, conn_fd;
	pid_t conn_pid;
	int req_fd[P2P_MAX_NICS], err_fd[P2P_MAX_NICS]; /* by the order of d->nic */
	unsigned int links;
	char path[P2P_MAX_NICS][PATH_MAX];
};

static const char *hold_addr(const struct drv_nic *nic)
{
	return nic->name + strlen(HOLD_SCHEME);
}

static int hold_path(char *path, size_t size, const char *addr, const struct sock_trust *make)
{
	char name[64], err[CLI_ERR_MAX];

	snprintf(name, sizeof(name), "hold-%.16s.sock", addr);
	return cli_socket_path(path, size, name, make, err);
}

/* --- taking over --- */

static int hold_from_holder(struct hold *h, struct vfio_container *c, const struct up_addr *a, char err[CLI_ERR_MAX])
{
	struct vfio_fd fds[VFIO_MAX_FDS];
	char path[PATH_MAX];
	unsigned int n;
	int rc;

	if (hold_path(path, sizeof(path), a->path, NULL) || handover_connect(path, &h->former))
		return 0; /* nobody holds it, or nobody of ours: opening it will tell */
	rc = handover_recv(h->former, fds, &n);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "%.16s: the process that holds it does not give it up: %s; end that first", a->path,
			 strerror(-rc));
	else
		rc = vfio_container_import(c, fds, n);
	if (rc && !*err)
		snprintf(err, CLI_ERR_MAX, "%s", vfio_container_error(c));
	return rc;
}

int hold_take(struct hold *h, struct drv *d, const struct up_addr *a, unsigned int n, char err[CLI_ERR_MAX])
{
	struct vfio_fd fds[VFIO_MAX_FDS];
	struct vfio_container *c;
	unsigned int k;
	int rc;

	err[0] = '\0';
	if (!n || !a[0].vfio)
		return 0;
	c = drv_vfio(d);
	if (!c) {
		snprintf(err, CLI_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	k = handover_listen_fds(fds);
	if (!k)
		return hold_from_holder(h, c, a, err);
	rc = vfio_container_import(c, fds, k);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "from the service manager: %s", vfio_container_error(c));
	return rc;
}

void hold_taken(struct hold *h, struct drv *d)
{
	if (drv_held(d))
		vfio_container_leave(drv_vfio(d), false);
	if (h->former >= 0 && !handover_ok_send(h->former))
		handover_wait_end(h->former);
	hold_end(h);
}

void hold_end(struct hold *h)
{
	if (h->former >= 0)
		close(h->former);
	if (h->heir >= 0)
		close(h->heir);
	h->former = h->heir = -1;
}

/* --- the service manager --- */

static bool hold_store(struct drv *d)
{
	struct vfio_fd fds[VFIO_MAX_FDS];
	unsigned int i, n = vfio_container_export(drv_vfio(d), fds);
	char text[128];
	int rc = n ? 0 : -ENOENT;

	for (i = 0; !rc && i < n; i++) {
		snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", fds[i].name);
		rc = handover_notify(text, fds[i].fd);
	}
	if (!rc)
		rc = handover_notify("READY=1\nSTATUS=NICs forward; holding their descriptors", -1);
	return !rc;
}

/* --- events --- */

/* An eventfd for index VFIO_PCI_ERR_IRQ_INDEX or VFIO_PCI_REQ_IRQ_INDEX; -1 where the function has none. */
static int hold_event(struct drv_nic *nic, unsigned int index)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0 || !nic->t->ops->irq_set(nic->t, index, 0, 1, &fd))
		return fd;
	close(fd);
	return -1;
}

static void hold_watch_nic(struct hold_watch *w, unsigned int i)
{
	w->req_fd[i] = hold_event(&w->d->nic[i], VFIO_PCI_REQ_IRQ_INDEX);
	w->err_fd[i] = hold_event(&w->d->nic[i], VFIO_PCI_ERR_IRQ_INDEX);
}

static void hold_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The kernel wants it back. */
static void hold_release(struct hold_watch *w, unsigned int i)
{
	char name[VFIO_FD_NAME], text[128];

	cli_note(w->h->who, "%s: the kernel wants it back (unbind or hot-unplug); the others go on without it", w->d->nic[i].name);
	if (w->h->stored) {
		vfio_fd_name(hold_addr(&w->d->nic[i]), name);
		snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
		handover_notify(text, -1);
	}
	if (w->h->quiet)
		w->h->quiet(w->h->arg);
	if (drv_let_go(w->d, i))
		cli_note(w->h->who, "%s", drv_error(w->d));
	hold_close(&w->req_fd[i]);
	hold_close(&w->err_fd[i]);
	memmove(&w->req_fd[i], &w->req_fd[i + 1], (P2P_MAX_NICS - i - 1) * sizeof(w->req_fd[0]));
	memmove(&w->err_fd[i], &w->err_fd[i + 1], (P2P_MAX_NICS - i - 1) * sizeof(w->err_fd[0]));
}

static bool hold_fired(int fd)
{
	uint64_t v;

	return fd >= 0 && read(fd, &v, sizeof(v)) == sizeof(v);
}

static void hold_events(struct hold_watch *w)
{
	unsigned int i;

	for (i = 0; i < w->d->n; i++)
		if (hold_fired(w->err_fd[i]))
			cli_note(w->h->who, "%s reports an error on PCI Express; if the others see it down, `p2pnic reset` and `p2pnic up`"
				 " bring it back", w->d->nic[i].name);
	for (i = w->d->n; i-- > 0;)
		if (hold_fired(w->req_fd[i]))
			hold_release(w, i);
}

/* --- giving up --- */

/* What a dead holder of several NICs has left: a link to a socket that nobody serves, or that socket. */
static void hold_clear(const char *path)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) || (!S_ISSOCK(st.st_mode) && !S_ISLNK(st.st_mode)))
		return;
	rc = handover_connect(path, &fd);
	if (!rc)
		close(fd);
	else if (rc == -ECONNREFUSED || (rc == -ENOENT && S_ISLNK(st.st_mode)))
		unlink(path);
}

static void hold_serve(struct hold_watch *w)
{
	char *path, why[SOCK_ERROR_MAX];
	unsigned int i;
	int rc;

	/* All before the first is served: by that one the others' links would be alive again. */
	for (i = 0; i < w->d->n; i++)
		if (!hold_path(w->path[0], PATH_MAX, hold_addr(&w->d->nic[i]), &w->h->trust))
			hold_clear(w->path[0]);
	for (i = 0; i < w->d->n; i++) {
		path = w->path[w->links];
		if (hold_path(path, PATH_MAX, hold_addr(&w->d->nic[i]), &w->h->trust))
			continue;
		rc = w->links ? (symlink(w->path[0], path) ? -errno : 0) : handover_listen(&w->listener, path, &w->h->trust);
		if (!rc) {
			w->links++;
			continue;
		}
		cli_note(w->h->who, "%s: %s; nobody can take over there", path, sock_error(path, rc, why));
		if (!w->links)
			return;
	}
}

static void hold_unserve(struct hold_watch *w)
{
	while (w->links > 1)
		unlink(w->path[--w->links]);
	w->links = 0;
	sock_close(&w->listener);
}

static void hold_offer(struct hold_watch *w)
{
	struct vfio_fd fds[VFIO_MAX_FDS];
	unsigned int n;

	if (handover_accept(&w->listener, &w->conn_fd, &w->conn_pid))
		return;
	n = vfio_container_export(drv_vfio(w->d), fds);
	if (handover_send(w->conn_fd, fds, n))
		hold_close(&w->conn_fd);
}

/* --- the loop --- */

static unsigned int hold_poll_set(const struct hold_watch *w, struct pollfd *p)
{
	unsigned int i, n = 0;

	p[n++] = (struct pollfd){ .fd = w->signal_fd, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = w->conn_fd < 0 ? w->listener.fd : w->conn_fd, .events = POLLIN };
	for (i = 0; i < w->d->n; i++) {
		p[n++] = (struct pollfd){ .fd = w->req_fd[i], .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = w->err_fd[i], .events = POLLIN };
	}
	return n;
}

/* True: the NICs are ours to bring down. */
static bool hold_loop(struct hold_watch *w, void (*monitor)(struct drv *d, void *arg), void *arg)
{
	struct pollfd p[2 + 2 * P2P_MAX_NICS];
	unsigned int n;

	while (w->d->n) {
		n = hold_poll_set(w, p);
		if (poll(p, n, monitor ? HOLD_MONITOR_MS : -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			return !w->h->stored;
		if (p[1].revents && w->conn_fd < 0) {
			hold_offer(w);
		} else if (p[1].revents) {
			if (!handover_ok_recv(w->conn_fd)) {
				cli_note(w->h->who, "process %d has taken over", (int)w->conn_pid);
				w->h->heir = w->conn_fd;
				w->conn_fd = -1;
				return false;
			}
			hold_close(&w->conn_fd);
		}
		hold_events(w);
		if (monitor)
			monitor(w->d, arg);
	}
	return true;
}

bool hold_run(struct hold *h, struct drv *d, void (*monitor)(struct drv *d, void *arg), void *arg)
{
	static struct hold_watch w;
	unsigned int i;
	sigset_t set;
	bool ours;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	w = (struct hold_watch){ .d = d, .h = h, .listener.fd = -1, .conn_fd = -1 };
	w.signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	memset(w.req_fd, -1, sizeof(w.req_fd));
	memset(w.err_fd, -1, sizeof(w.err_fd));
	for (i = 0; i < d->n; i++)
		hold_watch_nic(&w, i);
	h->stored = !h->alone && hold_store(d);
	if (!h->stored)
		handover_notify("READY=1", -1);
	if (!h->alone)
		hold_serve(&w);
	ours = hold_loop(&w, monitor, arg);
	hold_unserve(&w);
	for (i = 0; i < P2P_MAX_NICS; i++) {
		hold_close(&w.req_fd[i]);
		hold_close(&w.err_fd[i]);
	}
	hold_close(&w.conn_fd);
	hold_close(&w.signal_fd);
	vfio_container_leave(drv_vfio(d), !ours);
	return ours;
}
