/** What every page runs: the frame's behavior and the shared elements. */
import { tellTimeZone } from "./times.js";
import "./frame.js";
import "./dialogs.js";
import "./toasts.js";
import "./refresh.js";
import "./install.js";
import "./silence.js";
import "./elements/live-price.js";
import "./elements/relative-time.js";
import "./elements/copy-button.js";
import "./elements/tab-set.js";

tellTimeZone();
