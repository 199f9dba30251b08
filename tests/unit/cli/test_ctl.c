/* SPDX-License-Identifier: BSD-3-Clause */
/* An observer against control sockets that answer anything at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/ctl_client.h"
#include "cli/show_table.h"

struct server {
	char path[64];
	int fd;
	const char *answer;
	size_t len;
	unsigned int connections;
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	char request[512];
	unsigned int k;

	for (k = 0; k < s->connections; k++) {
		int fd = accept(s->fd, NULL, NULL);
		size_t at = 0;
		ssize_t n;

		if (recv(fd, request, sizeof(request), 0) > 0) {
			while (at < s->len) {
				n = send(fd, s->answer + at, s->len - at, MSG_NOSIGNAL);
				if (n <= 0)
					break;
				at += (size_t)n;
			}
		}
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *s, const char *answer, size_t len, unsigned int connections)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(s->path, sizeof(s->path), "/tmp/p2pnic-ctl-%d", (int)getpid());
	strcpy(addr.sun_path, s->path);
	unlink(s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->fd, 4), 0);
	s->answer = answer;
	s->len = len;
	s->connections = connections;
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_end(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->path);
}

static void print_all(struct json_object *nics)
{
	struct json_object *o;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int view;

	for (view = 0; view < SHOW_NUM_VIEWS; view++)
		show_table((enum show_view)view, nics, f);
	o = show_json(SHOW_nics, nics, NULL);
	show_print_json(o, f);
	json_object_put(o);
	fclose(f);
	free(text);
}

/* Well-formed JSON of the wrong shape is shown as nothing, zeros and empty names. */
static void test_wrong_shapes(void **state)
{
	static const char *const answers[] = {
		"{}", "{\"nics\":1}", "{\"nics\":{}}", "{\"nics\":[]}", "{\"nics\":[1,null,\"x\",[],{}]}",
		"{\"nics\":[{\"name\":7,\"state\":[],\"ports\":3,\"drops\":[1],\"events\":\"x\",\"peers\":{}}]}",
		"{\"nics\":[{\"name\":\"a\",\"ports\":[1,null,{}],\"peers\":[[],{\"state\":5}],\"drops\":{\"ring_full\":\"x\"}}]}",
		"{\"nics\":[{\"name\":\"a\",\"p2p_bytes\":-1,\"held\":1e300,\"ports\":[{\"rx_frames\":99999999999999999999}]}]}",
		"{\"nics\":[{\"name\":\"%s%n\",\"regs\":[{\"name\":null},5,{\"value\":-3}]}]}",
	};
	struct json_object *nics;
	struct server s;
	char line[512], err[CLI_ERR_MAX];
	unsigned int k;

	for (k = 0; k < sizeof(answers) / sizeof(answers[0]); k++) {
		snprintf(line, sizeof(line), "%s\n", answers[k]);
		server_start(&s, line, strlen(line), 1);
		nics = json_object_new_array();
		assert_int_equal(ctl_stats(s.path, nics, NULL, err), 0);
		print_all(nics);
		json_object_put(nics);
		server_end(&s);
	}
}

static void test_no_answer(void **state)
{
	static const char *const answers[] = { "", "{", "[1]\n", "hello\n", "\n", "null\n", "{\"error\":\"no\"}\n", "{\"error\":5}\n",
					       "{\"nics\":[}\n" };
	struct json_object *nics = json_object_new_array();
	struct server s;
	char err[CLI_ERR_MAX];
	unsigned int k;

	for (k = 0; k < sizeof(answers) / sizeof(answers[0]); k++) {
		server_start(&s, answers[k], strlen(answers[k]), 1);
		err[0] = '\0';
		assert_true(ctl_stats(s.path, nics, NULL, err) < 0);
		assert_true(strlen(err) > 10);
		assert_null(strchr(err, '\n'));
		server_end(&s);
	}
	assert_int_equal(json_object_array_length(nics), 0);
	json_object_put(nics);
}

/* Without end, and nested without end. */
static void test_floods(void **state)
{
	size_t len = 40u << 20;
	char *big = malloc(len), err[CLI_ERR_MAX];
	struct json_object *nics = json_object_new_array();
	struct server s;

	memset(big, 'x', len);
	server_start(&s, big, len, 1);
	assert_int_equal(ctl_stats(s.path, nics, NULL, err), -EMSGSIZE);
	server_end(&s);
	memset(big, '[', 1u << 20);
	big[1u << 20] = '\n';
	server_start(&s, big, (1u << 20) + 1, 1);
	assert_int_equal(ctl_stats(s.path, nics, NULL, err), -EPROTO);
	server_end(&s);
	json_object_put(nics);
	free(big);
}

static void test_regs(void **state)
{
	static const char answer[] = "{\"nics\":[\"a\",5,null],\"regs\":7}\n";
	struct json_object *nics = json_object_new_array();
	struct server s;
	char err[CLI_ERR_MAX];

	server_start(&s, answer, strlen(answer), 2);
	assert_int_equal(ctl_regs(s.path, nics, err), 0);
	assert_int_equal(json_object_array_length(nics), 1);
	assert_string_equal(ctl_text(json_object_array_get_idx(nics, 0), "name"), "a");
	print_all(nics);
	json_object_put(nics);
	server_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_shapes),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_regs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
