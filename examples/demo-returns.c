/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Makes many threads wait in one system call, and counts how many of their returns a BPF program
 * sees. This is a plain libbpf program, written without libksyscall in mind.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sched.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define CALL "ppoll"
#define THREADS 200
enum { ENTRIES, RETURNS };

static void *wait_in_call(void *unused)
{
	syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	return unused;
}

static void wake(int signal)
{
	(void)signal;
}

static __u64 hits(const struct bpf_object *object, __u32 key)
{
	__u64 count = 0;

	bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "hits"), &key, &count);
	return count;
}

int main(void)
{
	LIBBPF_OPTS(bpf_ksyscall_opts, on_entry, .bpf_cookie = ENTRIES);
	LIBBPF_OPTS(bpf_ksyscall_opts, on_return, .bpf_cookie = RETURNS, .retprobe = true);
	struct bpf_object *object = bpf_object__open_file("demo.bpf.o", NULL);
	struct sigaction action = { .sa_handler = wake };
	struct bpf_program *program;
	struct bpf_link *links[2];
	pthread_t threads[THREADS];
	__u32 zero = 0, process = getpid();

	if (!object || bpf_object__load(object))
		return perror("demo.bpf.o"), 1;
	program = bpf_object__find_program_by_name(object, "count");
	bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "process"), &zero, &process, 0);
	sigaction(SIGUSR1, &action, NULL);
	links[0] = bpf_program__attach_ksyscall(program, CALL, &on_return);
	links[1] = bpf_program__attach_ksyscall(program, CALL, &on_entry);
	if (!links[0] || !links[1])
		return perror(CALL), 1;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, wait_in_call, NULL))
			return perror("pthread_create"), 1;
	while (hits(object, ENTRIES) < THREADS)
		sched_yield();
	for (int i = 0; i < THREADS; i++) {
		pthread_kill(threads[i], SIGUSR1);
		pthread_join(threads[i], NULL);
	}
	printf("%llu of %d\n", (unsigned long long)hits(object, RETURNS), THREADS);
	bpf_link__destroy(links[1]);
	bpf_link__destroy(links[0]);
	bpf_object__close(object);
	return 0;
}
