/** The notes of the offline search: plain facts that do not age, in the languages of both markets. Data only. */

export interface Note {
  /** On a host reserved for examples, so that no real site is named as a source. */
  readonly url: string;
  readonly en: { readonly title: string; readonly snippet: string };
  readonly zh: { readonly title: string; readonly snippet: string };
}

export const NOTES: readonly Note[] = [
  {
    url: 'https://longrun.example.com/',
    en: {
      title: 'Longrun: the Assistants API you run yourself',
      snippet:
        'Longrun serves assistants, threads, messages and runs in the OpenAI wire format. Workers take runs from a BullMQ queue, all state is kept in Redis, and any OpenAI-compatible model can answer.',
    },
    zh: {
      title: 'Longrun：自行架設的 Assistants API',
      snippet:
        'Longrun 以 OpenAI 的格式提供助理、對話串、訊息與執行。工作程序從 BullMQ 佇列取得執行，所有狀態存放在 Redis，並可使用任何相容 OpenAI 的模型。',
    },
  },
  {
    url: 'https://longrun.example.com/docs/tools',
    en: {
      title: 'Adding a tool to Longrun',
      snippet:
        'A tool is one file in src/tools whose default export has a name, a description, a time limit and a function that answers a call. The server finds it when it starts.',
    },
    zh: {
      title: '在 Longrun 新增工具',
      snippet:
        '一個工具就是 src/tools 裡的一個檔案，預設匯出名稱、說明、時限與回答呼叫的函式。伺服器啟動時會自動找到它。',
    },
  },
  {
    url: 'https://longrun.example.com/docs/search',
    en: {
      title: 'Search, news and weather need a live search provider',
      snippet:
        "The offline search has no news, weather, prices or sports results: it knows only a few fixed notes. Today's headlines need a provider that can reach the web.",
    },
    zh: {
      title: '搜尋新聞與天氣需要連線的搜尋服務',
      snippet:
        '離線搜尋沒有新聞、天氣、股價或賽事結果，只有幾則固定的筆記。要查詢今天的頭條消息，需要能連上網路的搜尋服務。',
    },
  },
  {
    url: 'https://places.example.org/taipei-101',
    en: {
      title: 'Taipei 101, a tower in Taipei, Taiwan',
      snippet:
        'Taipei 101 is 508 metres high and has 101 floors above the ground. It opened on 31 December 2004 and was the tallest building in the world until 2010.',
    },
    zh: {
      title: '台北101：台灣台北的摩天大樓',
      snippet: '台北101高508公尺，地上101層，2004年12月31日啟用，直到2010年都是世界最高的建築。',
    },
  },
  {
    url: 'https://places.example.org/yushan',
    en: {
      title: 'Yushan, the highest mountain of Taiwan',
      snippet:
        'Yushan (Jade Mountain) is 3,952 metres high and lies in Yushan National Park. It often has snow in winter.',
    },
    zh: {
      title: '玉山：台灣最高的山',
      snippet: '玉山海拔3952公尺，位於玉山國家公園，冬季常有積雪。',
    },
  },
  {
    url: 'https://science.example.net/light',
    en: {
      title: 'The speed of light',
      snippet:
        'Light travels 299,792,458 metres per second in a vacuum. From the Sun to the Earth it takes about 8 minutes.',
    },
    zh: {
      title: '光速',
      snippet: '光在真空中每秒行進 299,792,458 公尺，從太陽到地球大約需要 8 分鐘。',
    },
  },
  {
    url: 'https://science.example.net/boiling-water',
    en: {
      title: 'The boiling point of water',
      snippet:
        'At sea level water boils at about 100 degrees Celsius (212 Fahrenheit); on high mountains it boils earlier.',
    },
    zh: {
      title: '水的沸點',
      snippet: '在海平面，水約在攝氏100度（華氏212度）沸騰；在高山上沸點較低。',
    },
  },
  {
    url: 'https://tea.example.org/oolong',
    en: {
      title: 'Oolong tea',
      snippet:
        'Oolong is a partly oxidised tea between green and black tea. Taiwan is known for the oolong of its mountains, brewed with water of 90 to 95 degrees.',
    },
    zh: {
      title: '烏龍茶',
      snippet: '烏龍茶是介於綠茶與紅茶之間的半發酵茶。台灣以高山烏龍茶聞名，適合以攝氏90至95度的水沖泡。',
    },
  },
];
