/** Plain texts in other languages and scripts, to measure the estimate of tokens with. */

export const KOREAN = `
안녕하세요. 저희 음성 비서를 이용해 주셔서 감사합니다. 처음 사용하시는 분들을 위해 설정 방법과 자주 묻는 질문을 정리했습니다. 먼저 휴대전화에 앱을 설치하고
전자우편 주소로 계정을 만들어 주세요. 그다음 기기의 전원을 켜고 파란 불이 깜빡일 때까지 기다려 주세요. 앱에서 기기 추가 버튼을 누르면 가까이 있는 기기의 목록이
나타납니다. 사용하실 기기를 선택하고 무선 네트워크의 비밀번호를 입력하면 연결이 시작됩니다. 연결에는 최대 이 분 정도 걸릴 수 있습니다. 대화 기록은 고객님의 서버에만
저장되며 외부로 전송되지 않습니다. 기록을 삭제하고 싶으시면 설정 화면에서 모든 기록 삭제를 선택해 주세요. 한번 삭제한 자료는 되돌릴 수 없으니 주의해 주세요. 어제는
친구와 함께 바닷가에 다녀왔습니다. 날씨가 맑고 바람이 시원해서 오랫동안 걸었습니다. 저녁에는 시장에서 생선을 사서 맛있는 찌개를 끓여 먹었습니다.
`;

export const RUSSIAN = `
Спасибо, что вы выбрали нашего голосового помощника. На этой странице мы собрали порядок настройки и ответы на частые вопросы. Сначала
установите приложение на телефон и создайте учётную запись, указав адрес электронной почты. Затем включите устройство и дождитесь, пока
индикатор начнёт мигать синим цветом. В приложении нажмите кнопку добавления устройства, выберите своё устройство из списка и введите пароль
от беспроводной сети. Соединение может занять до двух минут. История разговоров хранится только на вашем сервере и никому не передаётся.
Вчера мы с друзьями ездили на озеро: погода была ясная, дул лёгкий ветер, и мы долго гуляли по берегу, вспоминая школьные годы. Вечером
купили на рынке свежую рыбу и сварили уху, а потом ещё до поздней ночи сидели у костра и рассказывали друг другу истории о путешествиях.
`;

export const FRENCH = `
Merci d’avoir choisi notre assistant vocal. Cette page réunit les étapes de l’installation et les réponses aux questions les plus fréquentes.
Installez d’abord l’application sur votre téléphone, puis créez un compte avec votre adresse électronique. Allumez ensuite l’appareil et
attendez que le voyant clignote en bleu. Dans l’application, appuyez sur le bouton d’ajout, choisissez votre appareil dans la liste et
saisissez le mot de passe du réseau. La connexion peut prendre jusqu’à deux minutes. L’historique des conversations n’est conservé que sur
votre serveur et n’est jamais transmis à des tiers. Hier, nous sommes allés au bord de la mer avec des amis : le ciel était dégagé, une brise
légère soufflait, et nous avons marché longtemps en évoquant nos années d’école. Le soir, après avoir acheté du poisson frais au marché, nous
avons préparé une soupe délicieuse et bavardé jusqu’à une heure très avancée de la nuit.
`;

export const GERMAN = `
Vielen Dank, dass Sie sich für unseren Sprachassistenten entschieden haben. Auf dieser Seite finden Sie die Einrichtungsschritte und die
Antworten auf häufig gestellte Fragen. Installieren Sie zuerst die Anwendung auf Ihrem Telefon und legen Sie mit Ihrer Adresse ein
Benutzerkonto an. Schalten Sie danach das Gerät ein und warten Sie, bis die Leuchte blau blinkt. Wählen Sie Ihr Gerät aus der Liste und geben
Sie das Kennwort des Funknetzes ein. Der Verbindungsaufbau kann bis zu zwei Minuten dauern. Der Gesprächsverlauf wird ausschließlich auf Ihrem
Server gespeichert und niemals an Dritte übermittelt. Gestern sind wir mit Freunden an den See gefahren: Das Wetter war klar, es wehte ein
leichter Wind, und wir spazierten lange am Ufer entlang und erinnerten uns an unsere gemeinsame Schulzeit.
`;

export const ARABIC = `
شكرا لاختياركم مساعدنا الصوتي. جمعنا في هذه الصفحة خطوات الإعداد وأجوبة الأسئلة الشائعة. في البداية ثبتوا التطبيق على الهاتف وأنشئوا حسابا
جديدا باستخدام عنوان البريد الإلكتروني. بعد ذلك شغلوا الجهاز وانتظروا حتى يومض الضوء الأزرق. اختاروا جهازكم من القائمة وأدخلوا كلمة مرور
الشبكة. قد يستغرق الاتصال دقيقتين. تحفظ المحادثات على خادمكم فقط ولا ترسل إلى أي جهة أخرى. بالأمس ذهبنا مع الأصدقاء إلى شاطئ البحر وكان الجو
صافيا والهواء لطيفا فمشينا طويلا وتحدثنا عن أيام المدرسة، وفي المساء اشترينا سمكا طازجا من السوق وأعددنا حساء لذيذا.
`;

export const HINDI = `
हमारे आवाज़ सहायक को चुनने के लिए धन्यवाद। इस पृष्ठ पर हमने स्थापना के चरण और अक्सर पूछे जाने वाले प्रश्नों के उत्तर एकत्र किए हैं। सबसे पहले अपने फ़ोन पर ऐप
स्थापित करें और अपने ईमेल पते से एक खाता बनाएँ। फिर उपकरण चालू करें और नीली बत्ती के चमकने तक प्रतीक्षा करें। सूची में से अपना उपकरण चुनें और नेटवर्क का
पासवर्ड दर्ज करें। जुड़ने में दो मिनट तक लग सकते हैं। बातचीत का इतिहास केवल आपके सर्वर पर रहता है और किसी को नहीं भेजा जाता।
`;

export const THAI = `
ขอบคุณที่เลือกใช้ผู้ช่วยเสียงของเรา หน้านี้รวบรวมขั้นตอนการตั้งค่าและคำตอบของคำถามที่พบบ่อย ขั้นแรกให้ติดตั้งแอปบนโทรศัพท์และสร้างบัญชีด้วยที่อยู่อีเมลของคุณ
จากนั้นเปิดเครื่องและรอจนกว่าไฟสีน้ำเงินจะกะพริบ เลือกอุปกรณ์ของคุณจากรายการแล้วใส่รหัสผ่านของเครือข่าย การเชื่อมต่ออาจใช้เวลาถึงสองนาที
`;
