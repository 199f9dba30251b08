/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/router_client.h"
#include "cli/routing.h"
#include "sock/sock.h"

#define CLIENT_PATIENCE_S 20

static int client_connect(const char *path, char err[CLI_ERR_MAX])
{
	struct sock_name name;
	int fd, rc;

	rc = sock_name(&name, path, false);
	if (!rc)
		rc = sock_connect(&name, SOCK_STREAM, CLIENT_PATIENCE_S, &fd);
	if (!rc)
		return fd;
	snprintf(err, CLI_ERR_MAX, "no router answers at %.200s: %s; start `p2pnic router` or `p2pnic run --route`, or name its socket with"
		 " --router-socket", path, strerror(-rc));
	return -ENOENT;
}

static int client_line(const char *line, router_line_fn fn, void *ctx, char err[CLI_ERR_MAX])
{
	struct json_object *o = json_tokener_parse(line), *why;
	int rc;

	if (!o) {
		snprintf(err, CLI_ERR_MAX, "the router's answer is no JSON: %.80s", line);
		return -EBADMSG;
	}
	if (json_object_object_get_ex(o, "error", &why) && json_object_is_type(why, json_type_string)) {
		snprintf(err, CLI_ERR_MAX, "the router says: %.200s", json_object_get_string(why));
		rc = -EINVAL;
	} else {
		rc = fn(ctx, o);
	}
	json_object_put(o);
	return rc;
}

/* Whoever is turned away at once has a line to read all the same. */
static int client_send(int fd, const char *question)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s\n", question);

	return send(fd, line, (size_t)n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void client_failed(char err[CLI_ERR_MAX], const char *path, int rc)
{
	if (rc == -ECONNRESET)
		snprintf(err, CLI_ERR_MAX, "the router at %.200s has cut its answer off, or turned us away: what came is not all of"
			 " it; ask again, and read without pauses", path);
	else if (rc == -EAGAIN)
		snprintf(err, CLI_ERR_MAX, "the router at %.200s did not answer within %d s", path, CLIENT_PATIENCE_S);
	else
		snprintf(err, CLI_ERR_MAX, "asking the router at %.200s failed: %s", path, strerror(-rc));
}

static int client_lines(int fd, FILE *f, const char *question, const char *path, router_line_fn fn, void *ctx, char err[CLI_ERR_MAX])
{
	int sent = client_send(fd, question), failed = sent == -EPIPE ? 0 : sent, rc = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (!rc && !failed && (n = getline(&line, &size, f)) > 0) {
		if (line[n - 1] == '\n')
			rc = client_line(line, fn, ctx, err);
		else
			failed = -ECONNRESET;
	}
	if (!rc && !failed && (ferror(f) || sent))
		failed = ferror(f) ? -errno : -ECONNRESET;
	free(line);
	if (!failed)
		return rc;
	client_failed(err, path, failed);
	return failed == -EAGAIN ? -ETIMEDOUT : failed;
}

int router_ask(const char *socket, const char *question, router_line_fn fn, void *ctx, char err[CLI_ERR_MAX])
{
	char path[PATH_MAX];
	FILE *f;
	int fd, rc;

	rc = cli_socket_path(path, sizeof(path), socket ? socket : ROUTING_SOCKET, NULL, err);
	if (rc)
		return rc;
	fd = client_connect(path, err);
	if (fd < 0)
		return fd;
	f = fdopen(fd, "r");
	if (!f) {
		rc = -errno;
		client_failed(err, path, rc);
		close(fd);
		return rc;
	}
	rc = client_lines(fd, f, question, path, fn, ctx, err);
	fclose(f);
	return rc;
}
