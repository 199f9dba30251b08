/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Closes what a far end has lent and nobody takes.  close() of a file of a FUSE
 * file system waits for whoever serves it, who may be the far end: a thread
 * of its own does it, one for the process, made at the first such descriptor.
 * Where it is kept waiting the next ones wait for it, and once there is no room
 * for them descriptors are not taken at all (memif_closer_take()).
 */
#include "ports/memif_int.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define CLOSER_ROOM 16

static pthread_mutex_t closer_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closer_more = PTHREAD_COND_INITIALIZER;
static int closer_fd[CLOSER_ROOM];
static unsigned int closer_n;     /* that wait; the one being closed is not among them */
static unsigned int closer_taken; /* of the room, for descriptors that may come */
static bool closer_runs;

static void *closer_run(void *arg)
{
	pthread_mutex_lock(&closer_lock);
	for (;;) {
		int fd;

		while (!closer_n)
			pthread_cond_wait(&closer_more, &closer_lock);
		fd = closer_fd[--closer_n];
		pthread_mutex_unlock(&closer_lock);
		close(fd);
		pthread_mutex_lock(&closer_lock);
	}
	return arg;
}

static bool closer_start(void)
{
	sigset_t all, before;
	pthread_t thread;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = !pthread_create(&thread, NULL, closer_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ok)
		pthread_detach(thread);
	return ok;
}

bool memif_closer_take(void)
{
	bool room;

	pthread_mutex_lock(&closer_lock);
	room = closer_n + closer_taken < CLOSER_ROOM;
	closer_taken += room;
	pthread_mutex_unlock(&closer_lock);
	return room;
}

void memif_closer_give(int fd)
{
	/* Memory, of which the most are: nobody is asked. */
	if (fd >= 0 && fcntl(fd, F_GET_SEALS) >= 0) {
		close(fd);
		fd = -1;
	}
	pthread_mutex_lock(&closer_lock);
	closer_taken--;
	if (fd >= 0) {
		closer_fd[closer_n++] = fd;
		closer_runs = closer_runs || closer_start();
		pthread_cond_signal(&closer_more);
	}
	pthread_mutex_unlock(&closer_lock);
}
