// Stands in for zarrita when the viewer is bundled: a page holds whole volumes, never chunks from a network.
export {};
