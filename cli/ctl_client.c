/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/ctl_client.h"
#include "sock/sock.h"

#define CTL_ANSWER_MAX (16u << 20)
#define CTL_TIMEOUT_S 5

static int ctl_connect(const char *path, int *out)
{
	struct sock_name name;
	int rc = sock_name(&name, path, false);

	return rc ? rc : sock_connect(&name, SOCK_STREAM, CTL_TIMEOUT_S, out);
}

static int ctl_send(int fd, const char *request)
{
	char line[512];
	size_t len, at = 0;
	ssize_t n;

	len = (size_t)snprintf(line, sizeof(line), "%s\n", request);
	if (len >= sizeof(line))
		return -EMSGSIZE;
	while (at < len) {
		n = send(fd, line + at, len - at, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

/* Up to the newline, which becomes the string's end. */
static int ctl_receive(int fd, char **out)
{
	size_t size = 1u << 16, len = 0;
	char *buf = malloc(size), *more, *nl;
	ssize_t n;
	int rc;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		n = recv(fd, buf + len, size - len, 0);
		if (n <= 0) {
			rc = n < 0 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : -ECONNRESET;
			break;
		}
		nl = memchr(buf + len, '\n', (size_t)n);
		len += (size_t)n;
		if (nl) {
			*nl = '\0';
			*out = buf;
			return 0;
		}
		if (len < size)
			continue;
		more = size < CTL_ANSWER_MAX ? realloc(buf, size * 2) : NULL;
		if (!more) {
			rc = -EMSGSIZE;
			break;
		}
		buf = more;
		size *= 2;
	}
	free(buf);
	return rc;
}

static const char *ctl_hint(int rc)
{
	switch (rc) {
	case -ENOENT:
		return "no such socket; is the NIC running?";
	case -ECONNREFUSED:
		return "nobody serves there; is the NIC running?";
	case -ETIMEDOUT:
		return "no answer; is this a control socket (PATH.ctl)?";
	case -EACCES:
	case -EPERM:
	case -ECONNRESET:
		return "refused; run as the user that started the NIC, or in its --group";
	default:
		return strerror(-rc);
	}
}

int ctl_ask(const char *path, const char *request, struct json_object **answer, char err[CLI_ERR_MAX])
{
	struct json_object *o, *error;
	char *text = NULL;
	int fd = -1, rc;

	rc = ctl_connect(path, &fd);
	if (!rc)
		rc = ctl_send(fd, request);
	if (!rc)
		rc = ctl_receive(fd, &text);
	if (fd >= 0)
		close(fd);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%.200s: %s", path, ctl_hint(rc));
		return rc;
	}
	o = json_tokener_parse(text);
	free(text);
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		snprintf(err, CLI_ERR_MAX, "%.200s: its answer is no JSON object; is this a control socket (PATH.ctl)?", path);
		return -EPROTO;
	}
	if (json_object_object_get_ex(o, "error", &error)) {
		snprintf(err, CLI_ERR_MAX, "%.200s: %.300s", path, json_object_get_string(error));
		json_object_put(o);
		return -EREMOTEIO;
	}
	*answer = o;
	return 0;
}

uint64_t ctl_u64(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v))
		return 0;
	return json_object_get_uint64(v);
}

const char *ctl_text(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, json_type_string))
		return "";
	return json_object_get_string(v);
}

static struct json_object *ctl_member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, type))
		return NULL;
	return v;
}

struct json_object *ctl_array(struct json_object *o, const char *key)
{
	return ctl_member(o, key, json_type_array);
}

struct json_object *ctl_object(struct json_object *o, const char *key)
{
	return ctl_member(o, key, json_type_object);
}

static void ctl_take(struct json_object *answer, const char *key, struct json_object *into)
{
	struct json_object *list = into ? ctl_array(answer, key) : NULL;
	size_t i;

	for (i = 0; list && i < json_object_array_length(list); i++)
		json_object_array_add(into, json_object_get(json_object_array_get_idx(list, i)));
}

int ctl_stats(const char *path, struct json_object *nics, struct json_object *workers, char err[CLI_ERR_MAX])
{
	struct json_object *answer;
	int rc;

	rc = ctl_ask(path, "{\"get\":\"stats\"}", &answer, err);
	if (rc)
		return rc;
	ctl_take(answer, "nics", nics);
	ctl_take(answer, "workers", workers);
	json_object_put(answer);
	return 0;
}

static int ctl_regs_of(const char *path, const char *name, struct json_object *nics, char err[CLI_ERR_MAX])
{
	struct json_object *request = json_object_new_object(), *answer, *nic, *regs;
	int rc;

	json_object_object_add(request, "get", json_object_new_string("regs"));
	json_object_object_add(request, "nic", json_object_new_string(name));
	rc = ctl_ask(path, json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), &answer, err);
	json_object_put(request);
	if (rc)
		return rc;
	regs = ctl_array(answer, "regs");
	nic = json_object_new_object();
	json_object_object_add(nic, "name", json_object_new_string(name));
	json_object_object_add(nic, "regs", regs ? json_object_get(regs) : json_object_new_array());
	json_object_array_add(nics, nic);
	json_object_put(answer);
	return 0;
}

int ctl_regs(const char *path, struct json_object *nics, char err[CLI_ERR_MAX])
{
	struct json_object *info, *list;
	size_t i;
	int rc;

	rc = ctl_ask(path, "{\"get\":\"info\"}", &info, err);
	if (rc)
		return rc;
	list = ctl_array(info, "nics");
	for (i = 0; !rc && list && i < json_object_array_length(list); i++) {
		struct json_object *name = json_object_array_get_idx(list, i);

		if (json_object_is_type(name, json_type_string))
			rc = ctl_regs_of(path, json_object_get_string(name), nics, err);
	}
	json_object_put(info);
	return rc;
}
