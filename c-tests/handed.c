/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Records the arguments of bpf_object__attach_skeleton(): see handed.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "handed.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct bpf_object_skeleton;
int bpf_object__attach_skeleton(struct bpf_object_skeleton *skeleton);

struct handed handed[HANDED_MOST];
int handed_count;
bool hand_on = true;

int bpf_object__attach_skeleton(struct bpf_object_skeleton *skeleton)
{
	int (*next)(struct bpf_object_skeleton *);
	struct handed *this = &handed[handed_count++];
	if (handed_count > HANDED_MOST)
		abort();
	this->skeleton = skeleton;
	memcpy(&this->size, skeleton, sizeof(this->size));
	if (this->size > HANDED_BYTES)
		abort();
	memcpy(this->bytes, skeleton, this->size);
	*(void **)&next = dlsym(RTLD_NEXT, "bpf_object__attach_skeleton");
	return hand_on ? next(skeleton) : 0;
}
