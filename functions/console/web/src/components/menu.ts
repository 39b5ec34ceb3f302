import type { IconName } from "./icons";

export type MenuItem =
  | "line"
  | {
      label: string;
      run: () => void;
      icon?: IconName;
      end?: string;
      checked?: boolean;
      danger?: boolean;
      disabled?: boolean;
    };
