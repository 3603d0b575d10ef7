/* SPDX-License-Identifier: Apache-2.0
   An exported model on a board: its self-test, what a frame costs in instructions, and how deep the stack was.
   Frames before the first output (MODEL_LEAD) are not counted.
   model_frames.h is written beside it: it names the model's functions, and frames for it. */
#include "board.h"
#include "model_frames.h"

#ifndef MODEL_LEAD
#define MODEL_LEAD 0
#endif

static MODEL_STATE state;

int main(void) {
  const uint32_t different = MODEL_SELFTESTED();
  uint64_t start, end;
  uint32_t t;
  print("different ");
  print_number(different);
  start = instructions();
  spend(1000);
  end = instructions();
  print("\ncalibration ");
  print_number((uint32_t)(end - start));
  MODEL_RESET(&state);
  for (t = 0; t != MODEL_LEAD; ++t) MODEL_STEP(t);
  start = instructions();
  for (; t < MODEL_FRAMES; ++t) MODEL_STEP(t);
  end = instructions();
  print("\ninstructions ");
  print_number((uint32_t)(end - start) / (MODEL_FRAMES - MODEL_LEAD));
  print("\nstack ");
  print_number(stack_bytes_used());
  print("\n");
  return different != 0;
}
