/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */
/* Included before every file of the network: calls the counter after every layer. */
#ifndef COUNT_H
#define COUNT_H

void fw_after(int layer);
#define EA_AFTER(layer, name, output, bytes) fw_after(layer)

#endif
