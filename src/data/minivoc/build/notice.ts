import type { BankIndex } from '../bank-format.js';
import { EMOJI_VENDORS } from './emoji.js';

/** Full names and addresses of the licences. */
export const LICENCES: Readonly<Record<string, { name: string; url: string }>> = {
  'MIT': { name: 'MIT License', url: 'https://github.com/microsoft/fluentui-emoji/blob/main/LICENSE' },
  'Apache-2.0': { name: 'Apache License 2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
  'CC-BY-4.0': { name: 'Creative Commons Attribution 4.0', url: 'https://creativecommons.org/licenses/by/4.0/' },
  'CC-BY-3.0': { name: 'Creative Commons Attribution 3.0 Unported', url: 'https://creativecommons.org/licenses/by/3.0/' },
  'CC-BY-3.0-US': { name: 'Creative Commons Attribution 3.0 United States', url: 'https://creativecommons.org/licenses/by/3.0/us/' },
  'CC0-1.0': { name: 'Creative Commons Zero 1.0 (public domain)', url: 'https://creativecommons.org/publicdomain/zero/1.0/' },
};

const EMOJI_HOMES: Readonly<Record<string, string>> = {
  'fluent-3d': 'https://github.com/microsoft/fluentui-emoji',
  'fluent-flat': 'https://github.com/microsoft/fluentui-emoji',
  'noto': 'https://github.com/googlefonts/noto-emoji',
  'noto-v1': 'https://github.com/googlefonts/noto-emoji',
  'twemoji': 'https://github.com/jdecked/twemoji',
};

const link = (licence: string): string => `[${LICENCES[licence].name}](${LICENCES[licence].url})`;

/**
 * Writes NOTICE.md: every work that the sprite bank is drawn from, with its author, its source, its licence and what was changed.
 * @param index the bank's index
 */
export function noticeText(index: BankIndex): string {
  const emoji = EMOJI_VENDORS.map(({ name, package: npm, version, licence, author }) =>
    `| ${name} | ${author} | ${npm} ${version}, from ${EMOJI_HOMES[name]} | ${link(licence)} |`);
  const models = index.groups.flatMap(({ class: shownAs, group, name, parts }) => parts.filter(({ source }) => source === 'sweethome3d-furniture').map(({ author, licence, url }) =>
    `| ${group} | ${name} | ${author} | ${url ?? ''} | ${link(licence)} | ${shownAs} |`));
  const panoramas = index.backgrounds.map(({ name }) => name).join(', ');
  return `# Notice

The program is licensed under the Apache License 2.0 (LICENSE). The pictures in data-manifests/minivoc/bank, and the sample pictures made
from them, are drawn from the works below and stay under the licences of those works. All of them were changed: rasterized or rendered, cropped,
made smaller, compressed; the data set's images then turn, stretch, recolour and combine them. Their authors endorse nothing here.

This file is written by \`npx qdetr data build-sprites\` from the same list as the pictures.

## Emoji

| set | author | source | licence |
|---|---|---|---|
${emoji.join('\n')}

Fluent Emoji: Copyright (c) Microsoft Corporation. Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions: The above copyright notice and this permission notice shall be included in
all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING
FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

Twemoji: Copyright 2020 Twitter, Inc. and other contributors; graphics licensed under CC-BY 4.0.

## Panoramas (backgrounds)

${panoramas}: Poly Haven (https://polyhaven.com), packaged by Poimandres as @pmndrs/assets 1.7.0, ${link('CC0-1.0')}.

## 3D models

From Debian's package sweethome3d-furniture 1.8-1 (http://www.sweethome3d.com/importModels.jsp): libraries KatorLegaz (copyright 2003-2008
Andrew Kator & Jennifer Legaz), Reallusion (copyright 2008-2016 Reallusion, http://www.reallusion.com), Scopia (copyright 2006-2020 Emmanuel
Puybaret / eTeks and Scopia Visual Interfaces Systems, s.l., http://www.scopia.es), BlendSwap-CC-BY and BlendSwap-CC-0 (authors as listed;
converted by Emmanuel Puybaret / eTeks). The first column is the library and the model's number in its catalogue.

| model | title | author | offered at | licence | shown as |
|---|---|---|---|---|---|
${models.join('\n')}

## Fonts

Figures and contact sheets are drawn with the DejaVu fonts (npm dejavu-fonts-ttf 2.37.3): Bitstream Vera, copyright (c) 2003 Bitstream, Inc.;
Arev, copyright (c) 2006 Tavmjong Bah; DejaVu changes are in the public domain. https://dejavu-fonts.github.io/License.html
`;
}
