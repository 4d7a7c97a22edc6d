/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reports which library attaches by section. libbpf's own function attaches the stat program to a kernel
 * function that is never called, so the program sees no calls.
 */
#include "client.h"
#include "proof.skel.h"

int main(void)
{
	struct proof_bpf *skeleton = proof_bpf__open();
	CHECK(skeleton);
	skeleton->rodata->traced = getpid();
	CHECK(proof_bpf__load(skeleton) == 0);
	CHECK(proof_bpf__attach(skeleton) == 0);
	for (int i = 0; i < 3; i++) {
		struct stat seen;
		syscall(SYS_stat, "/", &seen);
	}
	printf("stat was seen %lu times of 3\n", skeleton->bss->stats);
	proof_bpf__destroy(skeleton);
	return 0;
}
